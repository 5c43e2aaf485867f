"""The accesses that an API call of any service needs."""

from __future__ import annotations

from lakehouse_local.iam.access import Access, ApiCall
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.glue_actions import athena_accesses, glue_accesses
from lakehouse_local.iam.other_actions import OTHERS, default_accesses
from lakehouse_local.iam.s3_actions import s3_accesses

_SERVICES = {"s3": s3_accesses, "glue": glue_accesses, "athena": athena_accesses, **OTHERS}


def accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call; none for a call that needs no permission."""
    return _SERVICES.get(call.service, default_accesses)(call, account)
