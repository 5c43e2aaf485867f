"""Operations that Terraform's AWS provider calls and moto lacks, added to moto's own classes.

Budgets: the subscribers of a notification, changes of a budget, and tags.
"""

from __future__ import annotations

import json
from typing import Any

from moto.budgets.exceptions import NotFoundException
from moto.budgets.models import Budget, Notification
from moto.budgets.responses import BudgetsResponse

_TAGS = "ResourceTags"  # kept with the budget; DescribeBudget does not show them


def install() -> None:
    """Add the operations. Of those that moto has, only CreateBudget changes: it keeps tags."""
    for operation in (
        create_budget,
        update_budget,
        describe_budget,
        describe_subscribers_for_notification,
        list_tags_for_resource,
        tag_resource,
        untag_resource,
    ):
        setattr(BudgetsResponse, operation.__name__, operation)


def create_budget(self: Any) -> str:
    account, budget = self._get_param("AccountId"), self._get_param("Budget")
    self.backend.create_budget(account, budget, self._get_param("NotificationsWithSubscribers", []))
    _tags(self, budget["BudgetName"]).update(_pairs(self._get_param(_TAGS) or []))
    return "{}"


def update_budget(self: Any) -> str:
    new = self._get_param("NewBudget")
    kept = _budget(self, new["BudgetName"])
    changed = Budget({"TimePeriod": kept.budget["TimePeriod"], **new, _TAGS: kept.budget.get(_TAGS, {})}, [])
    changed.notifications = kept.notifications
    self.backend.budgets[self._get_param("AccountId")][new["BudgetName"]] = changed
    return "{}"


def describe_budget(self: Any) -> str:
    account, name = self._get_param("AccountId"), self._get_param("BudgetName")
    budget = self.backend.describe_budget(account_id=account, budget_name=name)
    return json.dumps({"Budget": {key: value for key, value in budget.items() if key != _TAGS}})


def describe_subscribers_for_notification(self: Any) -> str:
    wanted = self._get_param("Notification")
    for notification in _budget(self, self._get_param("BudgetName")).notifications:
        if _same(notification, wanted):
            return json.dumps({"Subscribers": notification.subscribers})
    raise NotFoundException("Unable to get subscribers - the notification doesn't exist.")


def list_tags_for_resource(self: Any) -> str:
    tags = _tags(self, _name(self))
    return json.dumps({_TAGS: [{"Key": key, "Value": value} for key, value in sorted(tags.items())]})


def tag_resource(self: Any) -> str:
    _tags(self, _name(self)).update(_pairs(self._get_param(_TAGS)))
    return "{}"


def untag_resource(self: Any) -> str:
    tags = _tags(self, _name(self))
    for key in self._get_param("ResourceTagKeys"):
        tags.pop(key, None)
    return "{}"


def _budget(self: Any, name: str) -> Budget:
    account = self._get_param("AccountId") or self.current_account
    self.backend.describe_budget(account_id=account, budget_name=name)  # refuses one that is not there
    budget: Budget = self.backend.budgets[account][name]
    return budget


def _tags(self: Any, name: str) -> dict[str, str]:
    tags: dict[str, str] = _budget(self, name).budget.setdefault(_TAGS, {})
    return tags


def _name(self: Any) -> str:
    # arn:aws:budgets::123456789012:budget/NAME
    return str(self._get_param("ResourceARN")).partition("/")[2]


def _pairs(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _same(notification: Notification, wanted: dict[str, Any]) -> bool:
    keys = ("NotificationType", "ComparisonOperator", "Threshold", "ThresholdType")
    return all(notification.details.get(key) == wanted.get(key) for key in keys)
