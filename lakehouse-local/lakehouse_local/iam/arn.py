"""The parts of an ARN: ``arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE``."""

from __future__ import annotations


def account_of_arn(arn: str) -> str | None:
    """Return the account id of an ARN; None if it is no ARN or, as that of a bucket, names no account."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 and parts[0] == "arn" and parts[4].isdigit() else None


def name_of_arn(arn: str) -> str:
    """Return the last part of an ARN's path, as a role's name without its path; a name is returned as it is."""
    return arn.rpartition("/")[2]
