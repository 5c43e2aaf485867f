"""The accesses that other services' operations need, for the calls of Terraform, the operators and job runs.

Source: the pages of https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lakehouse_local.iam.access import Access, ApiCall, request_tags, resource_tags
from lakehouse_local.iam.account import Account

Needed = Callable[[ApiCall, Account], list[Access]]


def sts_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of STS (list_awssecuritytokenservice.html).

    GetCallerIdentity needs no permission, and no policy can deny it.
    """
    given = call.parameters
    if call.operation == "GetCallerIdentity":
        return []
    context = {
        name: (str(given[member]),)
        for member, name in (("RoleSessionName", "sts:rolesessionname"), ("ExternalId", "sts:externalid"))
        if given.get(member)
    }
    return [Access(f"sts:{call.operation}", str(given.get("RoleArn", "*")), context)]


def iam_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of IAM (list_awsidentityandaccessmanagementiam.html)."""
    given, action = call.parameters, f"iam:{call.operation}"
    context = request_tags(_tags(given.get("Tags")))
    if call.operation == "CreateServiceLinkedRole":
        service = str(given.get("AWSServiceName"))
        arn = account.arn("iam", f"role/aws-service-role/{service}/*", regional=False)
        return [Access(action, arn, {"iam:awsservicename": (service,)})]
    if role := given.get("RoleName"):
        if call.operation == "CreateRole":
            path = str(given.get("Path") or "/")
            arn, boundary = account.arn("iam", f"role{path}{role}", regional=False), given.get("PermissionsBoundary")
        else:
            arn, boundary = account.role_arn(str(role)), account.role_boundary(str(role))
            if call.operation == "PutRolePermissionsBoundary":
                boundary = given.get("PermissionsBoundary")
            context |= resource_tags(account.role_tags(str(role)))
        if boundary:
            context["iam:permissionsboundary"] = (str(boundary),)
        if policy := given.get("PolicyArn"):
            context["iam:policyarn"] = (str(policy),)
        return [Access(action, arn, context)]
    if user := given.get("UserName"):
        return [Access(action, account.user_arn(str(user)), context)]
    if arn_given := given.get("PolicyArn") or given.get("OpenIDConnectProviderArn"):
        return [Access(action, str(arn_given), context)]
    if call.operation == "CreatePolicy":
        name = f"policy{given.get('Path') or '/'}{given.get('PolicyName')}"
        return [Access(action, account.arn("iam", name, regional=False), context)]
    if call.operation == "CreateOpenIDConnectProvider":
        host = str(given.get("Url", "")).removeprefix("https://")
        return [Access(action, account.arn("iam", f"oidc-provider/{host}", regional=False), context)]
    return [Access(action, "*", context)]


def logs_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of CloudWatch Logs (list_amazoncloudwatchlogs.html)."""
    given, action = call.parameters, f"logs:{call.operation}"
    if arn := given.get("resourceArn") or given.get("logGroupArn"):
        return [Access(action, str(arn))]
    group, stream = given.get("logGroupName"), given.get("logStreamName")
    if call.operation == "DescribeLogGroups" or group is None:
        return [Access(action, account.arn("logs", "log-group:*") if call.operation == "DescribeLogGroups" else "*")]
    if stream and call.operation in ("PutLogEvents", "GetLogEvents", "DeleteLogStream"):
        return [Access(action, account.arn("logs", f"log-group:{group}:log-stream:{stream}"))]
    return [Access(action, account.arn("logs", f"log-group:{group}"), request_tags(given.get("tags") or {}))]


def events_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of EventBridge (list_amazoneventbridge.html)."""
    given, action = call.parameters, f"events:{call.operation}"
    if arn := given.get("ResourceARN"):
        return [Access(action, str(arn))]
    rule = given.get("Rule") or (given.get("Name") if "Rule" in call.operation else None)
    if rule is None:
        return [Access(action, "*")]
    bus = str(given.get("EventBusName") or "default").rpartition("/")[2]
    name = str(rule) if bus == "default" else f"{bus}/{rule}"
    return [Access(action, account.arn("events", f"rule/{name}"), request_tags(_tags(given.get("Tags"))))]


def sns_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of SNS (list_amazonsns.html); operations on a subscription name no resource."""
    given, action = call.parameters, f"sns:{call.operation}"
    if arn := given.get("TopicArn") or given.get("ResourceArn"):
        return [Access(action, str(arn))]
    if call.operation == "CreateTopic":
        return [Access(action, account.arn("sns", str(given.get("Name"))), request_tags(_tags(given.get("Tags"))))]
    return [Access(action, "*")]


def cloudwatch_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of CloudWatch (list_amazoncloudwatch.html)."""
    given, action = call.parameters, f"cloudwatch:{call.operation}"
    if call.operation == "PutMetricData":
        return [Access(action, "*", {"cloudwatch:namespace": (str(given.get("Namespace")),)})]
    if arn := given.get("ResourceARN"):
        return [Access(action, str(arn))]
    names = given.get("AlarmNames") or ([given["AlarmName"]] if given.get("AlarmName") else [])
    if not names:
        return [Access(action, account.arn("cloudwatch", "alarm:*") if "Alarm" in call.operation else "*")]
    return [Access(action, account.arn("cloudwatch", f"alarm:{name}")) for name in names]


def budgets_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of Budgets (list_awsbudgetservice.html); two actions stand for most operations."""
    given = call.parameters
    if arn := given.get("ResourceARN"):
        return [Access(f"budgets:{call.operation}", str(arn))]
    name = given.get("BudgetName") or (given.get("Budget") or given.get("NewBudget") or {}).get("BudgetName") or "*"
    action = "ViewBudget" if call.operation.startswith("Describe") else "ModifyBudget"
    return [Access(f"budgets:{action}", account.arn("budgets", f"budget/{name}", regional=False))]


def kms_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of KMS (list_awskeymanagementservice.html)."""
    given, action = call.parameters, f"kms:{call.operation}"
    if call.operation == "CreateKey":
        return [Access(action, "*", request_tags(_tags(given.get("Tags"))))]
    # Deleting an alias needs the permission on its key, too.
    by_alias = given.get("AliasName") if call.operation == "DeleteAlias" else None
    key = given.get("KeyId") or given.get("TargetKeyId") or by_alias
    needed = []
    if key:
        arn = account.key_arn(str(key))
        needed.append(Access(action, arn, resource_tags(account.key_tags(arn))))
    if alias := given.get("AliasName"):
        needed.append(Access(action, account.arn("kms", str(alias))))
    return needed or [Access(action, "*")]


def mwaa_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of MWAA (list_amazonmanagedworkflowsforapacheairflow.html)."""
    given, action = call.parameters, f"airflow:{call.operation}"
    named = str(given.get("ResourceArn") or account.arn("airflow", f"environment/{given.get('Name', '*')}"))
    needed = [Access(action, named, request_tags(given.get("Tags") or {}))]
    if role := given.get("ExecutionRoleArn"):
        context = {"iam:passedtoservice": ("airflow.amazonaws.com",)}
        needed.append(Access("iam:PassRole", str(role), context))
    return needed


def ec2_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of EC2 (list_amazonec2.html); no Describe operation takes a resource."""
    given, action = call.parameters, f"ec2:{call.operation}"
    if call.operation.startswith("Describe"):
        return [Access(action, "*")]
    if resources := given.get("Resources"):  # of tags
        types = [(_RESOURCE_TYPES.get(each.partition("-")[0], "*"), each) for each in resources]
        return [Access(action, account.arn("ec2", f"{type_}/{identity}")) for type_, identity in types]
    type_ = next((name for word, name in _EC2 if word in call.operation), "*")
    identity = given.get("GroupId") or given.get("VpcEndpointId") or "*"
    return [Access(action, account.arn("ec2", f"{type_}/{identity}"))]


_RESOURCE_TYPES = {
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
_EC2 = (("SecurityGroup", "security-group"), ("VpcEndpoint", "vpc-endpoint"), ("Subnet", "subnet"), ("Vpc", "vpc"))


def default_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the access of a call of a service that has no table here: its action on every resource."""
    return [Access(f"{call.service}:{call.operation}", "*")]


def _tags(tags: Any) -> dict[str, str]:
    if isinstance(tags, dict):
        return tags
    return {
        str(tag.get("Key", tag.get("TagKey"))): str(tag.get("Value", tag.get("TagValue", ""))) for tag in tags or ()
    }


OTHERS: dict[str, Needed] = {
    "sts": sts_accesses,
    "iam": iam_accesses,
    "logs": logs_accesses,
    "events": events_accesses,
    "sns": sns_accesses,
    "cloudwatch": cloudwatch_accesses,
    "budgets": budgets_accesses,
    "kms": kms_accesses,
    "mwaa": mwaa_accesses,
    "ec2": ec2_accesses,
}
