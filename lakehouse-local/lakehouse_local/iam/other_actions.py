"""What the operations of the other services need, as far as Terraform, the operators and the runs call them.

Source: the pages of https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lakehouse_local.iam.access import Access, Call, request_tags, resource_tags
from lakehouse_local.iam.account import Account

Needed = Callable[[Call, Account], list[Access]]


def of_sts(call: Call, account: Account) -> list[Access]:
    """list_awssecuritytokenservice.html; GetCallerIdentity needs no permission, and no policy can deny it."""
    given = call.parameters
    if call.operation == "GetCallerIdentity":
        return []
    context = {
        name: (str(given[member]),)
        for member, name in (("RoleSessionName", "sts:rolesessionname"), ("ExternalId", "sts:externalid"))
        if given.get(member)
    }
    return [Access(f"sts:{call.operation}", str(given.get("RoleArn", "*")), context)]


def of_iam(call: Call, account: Account) -> list[Access]:
    """list_awsidentityandaccessmanagementiam.html"""
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


def of_logs(call: Call, account: Account) -> list[Access]:
    """list_amazoncloudwatchlogs.html"""
    given, action = call.parameters, f"logs:{call.operation}"
    if arn := given.get("resourceArn") or given.get("logGroupArn"):
        return [Access(action, str(arn))]
    group, stream = given.get("logGroupName"), given.get("logStreamName")
    if call.operation == "DescribeLogGroups" or group is None:
        return [Access(action, account.arn("logs", "log-group:*") if call.operation == "DescribeLogGroups" else "*")]
    if stream and call.operation in ("PutLogEvents", "GetLogEvents", "DeleteLogStream"):
        return [Access(action, account.arn("logs", f"log-group:{group}:log-stream:{stream}"))]
    return [Access(action, account.arn("logs", f"log-group:{group}"), request_tags(given.get("tags") or {}))]


def of_events(call: Call, account: Account) -> list[Access]:
    """list_amazoneventbridge.html"""
    given, action = call.parameters, f"events:{call.operation}"
    if arn := given.get("ResourceARN"):
        return [Access(action, str(arn))]
    rule = given.get("Rule") or (given.get("Name") if "Rule" in call.operation else None)
    if rule is None:
        return [Access(action, "*")]
    bus = str(given.get("EventBusName") or "default").rpartition("/")[2]
    name = str(rule) if bus == "default" else f"{bus}/{rule}"
    return [Access(action, account.arn("events", f"rule/{name}"), request_tags(_tags(given.get("Tags"))))]


def of_sns(call: Call, account: Account) -> list[Access]:
    """list_amazonsns.html: what concerns a subscription names none"""
    given, action = call.parameters, f"sns:{call.operation}"
    if arn := given.get("TopicArn") or given.get("ResourceArn"):
        return [Access(action, str(arn))]
    if call.operation == "CreateTopic":
        return [Access(action, account.arn("sns", str(given.get("Name"))), request_tags(_tags(given.get("Tags"))))]
    return [Access(action, "*")]


def of_cloudwatch(call: Call, account: Account) -> list[Access]:
    """list_amazoncloudwatch.html"""
    given, action = call.parameters, f"cloudwatch:{call.operation}"
    if call.operation == "PutMetricData":
        return [Access(action, "*", {"cloudwatch:namespace": (str(given.get("Namespace")),)})]
    if arn := given.get("ResourceARN"):
        return [Access(action, str(arn))]
    names = given.get("AlarmNames") or ([given["AlarmName"]] if given.get("AlarmName") else [])
    if not names:
        return [Access(action, account.arn("cloudwatch", "alarm:*") if "Alarm" in call.operation else "*")]
    return [Access(action, account.arn("cloudwatch", f"alarm:{name}")) for name in names]


def of_budgets(call: Call, account: Account) -> list[Access]:
    """list_awsbudgetservice.html: two actions stand for most operations"""
    given = call.parameters
    if arn := given.get("ResourceARN"):
        return [Access(f"budgets:{call.operation}", str(arn))]
    name = given.get("BudgetName") or (given.get("Budget") or given.get("NewBudget") or {}).get("BudgetName") or "*"
    action = "ViewBudget" if call.operation.startswith("Describe") else "ModifyBudget"
    return [Access(f"budgets:{action}", account.arn("budgets", f"budget/{name}", regional=False))]


def of_kms(call: Call, account: Account) -> list[Access]:
    """list_awskeymanagementservice.html"""
    given, action = call.parameters, f"kms:{call.operation}"
    if call.operation == "CreateKey":
        return [Access(action, "*", request_tags(_tags(given.get("Tags"))))]
    # An alias's end asks for the key that it is of, too.
    of_alias = given.get("AliasName") if call.operation == "DeleteAlias" else None
    key = given.get("KeyId") or given.get("TargetKeyId") or of_alias
    needed = []
    if key:
        arn = account.key_arn(str(key))
        needed.append(Access(action, arn, resource_tags(account.key_tags(arn))))
    if alias := given.get("AliasName"):
        needed.append(Access(action, account.arn("kms", str(alias))))
    return needed or [Access(action, "*")]


def of_mwaa(call: Call, account: Account) -> list[Access]:
    """list_amazonmanagedworkflowsforapacheairflow.html"""
    given, action = call.parameters, f"airflow:{call.operation}"
    named = str(given.get("ResourceArn") or account.arn("airflow", f"environment/{given.get('Name', '*')}"))
    needed = [Access(action, named, request_tags(given.get("Tags") or {}))]
    if role := given.get("ExecutionRoleArn"):
        context = {"iam:passedtoservice": ("airflow.amazonaws.com",)}
        needed.append(Access("iam:PassRole", str(role), context))
    return needed


def of_ec2(call: Call, account: Account) -> list[Access]:
    """list_amazonec2.html: no Describe takes a resource"""
    given, action = call.parameters, f"ec2:{call.operation}"
    if call.operation.startswith("Describe"):
        return [Access(action, "*")]
    if resources := given.get("Resources"):  # of tags
        kinds = [(_KINDS.get(each.partition("-")[0], "*"), each) for each in resources]
        return [Access(action, account.arn("ec2", f"{kind}/{identity}")) for kind, identity in kinds]
    kind = next((name for word, name in _EC2 if word in call.operation), "*")
    identity = given.get("GroupId") or given.get("VpcEndpointId") or "*"
    return [Access(action, account.arn("ec2", f"{kind}/{identity}"))]


_KINDS = {
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
_EC2 = (("SecurityGroup", "security-group"), ("VpcEndpoint", "vpc-endpoint"), ("Subnet", "subnet"), ("Vpc", "vpc"))


def of_any(call: Call, account: Account) -> list[Access]:
    """Of a service that nothing here calls: its action on everything, which only a policy for everything allows."""
    return [Access(f"{call.service}:{call.operation}", "*")]


def _tags(tags: Any) -> dict[str, str]:
    if isinstance(tags, dict):
        return tags
    return {
        str(tag.get("Key", tag.get("TagKey"))): str(tag.get("Value", tag.get("TagValue", ""))) for tag in tags or ()
    }


OTHERS: dict[str, Needed] = {
    "sts": of_sts,
    "iam": of_iam,
    "logs": of_logs,
    "events": of_events,
    "sns": of_sns,
    "cloudwatch": of_cloudwatch,
    "budgets": of_budgets,
    "kms": of_kms,
    "mwaa": of_mwaa,
    "ec2": of_ec2,
}
