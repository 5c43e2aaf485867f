"""From a call to what it needs of IAM."""

from __future__ import annotations

from lakehouse_local.iam.access import Access, Call
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.glue_actions import of_athena, of_glue
from lakehouse_local.iam.other_actions import OTHERS, of_any
from lakehouse_local.iam.s3_actions import of_s3

_SERVICES = {"s3": of_s3, "glue": of_glue, "athena": of_athena, **OTHERS}


def accesses(call: Call, account: Account) -> list[Access]:
    """Actions with their resources and condition keys; none for a call that needs no permission."""
    return _SERVICES.get(call.service, of_any)(call, account)
