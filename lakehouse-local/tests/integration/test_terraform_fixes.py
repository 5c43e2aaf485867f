"""Budgets, as Terraform's AWS provider asks for them."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
NOTIFICATION = {
    "NotificationType": "ACTUAL",
    "ComparisonOperator": "GREATER_THAN",
    "Threshold": 80.0,
    "ThresholdType": "PERCENTAGE",
}
SUBSCRIBERS = [{"SubscriptionType": "SNS", "Address": f"arn:aws:sns:us-east-1:{ACCOUNT}:alarms"}]


@pytest.fixture
def budgets(boto):
    return boto("budgets")


@pytest.fixture
def budget(budgets):
    name = f"month-{uuid.uuid4().hex[:8]}"
    budgets.create_budget(
        AccountId=ACCOUNT,
        Budget={
            "BudgetName": name,
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": "100", "Unit": "USD"},
        },
        NotificationsWithSubscribers=[{"Notification": NOTIFICATION, "Subscribers": SUBSCRIBERS}],
        ResourceTags=[{"Key": "lakehouse", "Value": "x"}],
    )
    return name


def test_subscribers(budgets, budget):
    which = {"AccountId": ACCOUNT, "BudgetName": budget}
    result = budgets.describe_subscribers_for_notification(**which, Notification=NOTIFICATION)
    assert result["Subscribers"] == SUBSCRIBERS
    with pytest.raises(ClientError, match="doesn't exist"):
        budgets.describe_subscribers_for_notification(**which, Notification={**NOTIFICATION, "Threshold": 5.0})
    with pytest.raises(ClientError, match="NotFoundException"):
        budgets.describe_subscribers_for_notification(
            AccountId=ACCOUNT, BudgetName="no-such", Notification=NOTIFICATION
        )


def test_a_change_keeps_tags_and_notifications(budgets, budget):
    before = budgets.describe_budget(AccountId=ACCOUNT, BudgetName=budget)["Budget"]
    new = {key: before[key] for key in ("BudgetName", "BudgetType", "TimeUnit")}
    limit = {"Amount": "50", "Unit": "USD"}
    budgets.update_budget(AccountId=ACCOUNT, NewBudget={**new, "BudgetLimit": limit})
    after = budgets.describe_budget(AccountId=ACCOUNT, BudgetName=budget)["Budget"]
    assert (after["BudgetLimit"], after["TimePeriod"]) == (limit, before["TimePeriod"])
    assert "ResourceTags" not in after
    arn = f"arn:aws:budgets::{ACCOUNT}:budget/{budget}"
    budgets.tag_resource(ResourceARN=arn, ResourceTags=[{"Key": "team", "Value": "data"}])
    budgets.untag_resource(ResourceARN=arn, ResourceTagKeys=["lakehouse"])
    assert budgets.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == [{"Key": "team", "Value": "data"}]
    result = budgets.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName=budget)["Notifications"]
    assert [each["NotificationType"] for each in result] == ["ACTUAL"]
