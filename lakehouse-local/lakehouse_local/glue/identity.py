"""The identity of a job run or a crawl: its credentials, and the check of what it may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse_local.iam.enforcement import Judge


@dataclass(frozen=True)
class RunIdentity:
    """The session of a role under which a job run or a crawl acts.

    :ivar environment: environment variables: endpoint, region, credentials
    :ivar judge: judges each access; None allows everything
    :ivar refusal: the reason why the role cannot be assumed, with which the run fails; empty if it can
    """

    environment: Mapping[str, str]
    judge: Judge | None = None
    refusal: str = ""
