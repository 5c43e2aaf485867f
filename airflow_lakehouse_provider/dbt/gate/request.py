"""The part of a dbt request that is about the gate, in plain JSON types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Commands that build into an audit schema, with the dbt types of what they build; and the one that reads it.
BUILDS: Mapping[str, tuple[str, ...]] = {"build": ("model", "seed", "snapshot"), "run": ("model",), "seed": ("seed",)}
TESTS = "test"
# Options of dbt's that would change what the gate relies on.
REFUSED_FLAGS = {
    **dict.fromkeys(
        ("--state", "--defer", "--no-defer", "--defer-state", "--favor-state", "--no-favor-state"),
        "the gate sets it itself: what is not selected is read from production",
    ),
    "--empty": "it builds tables without rows",
    "--sample": "it builds tables of a sample of the rows",
    "--partial-parse-file-path": "production and the audit schema are parsed apart",
}


@dataclass(frozen=True)
class GateRequest:
    """The arguments of a gated build, or of the test of an attempt.

    :ivar schema: production's
    :ivar data: ``s3://bucket/prefix`` of production's tables
    :ivar unit: of a build: what is published together
    :ivar attempt: of a test: the address of the attempt's document
    :ivar staging: ``s3://bucket/prefix/`` of query results; None: the work group's
    :ivar fence: ARN of the role whose session dbt gets; None: dbt has the access of the task
    :ivar compare: whether production's files are compared before and after
    :ivar scope: the partitions that the attempt may touch, an expression of Glue's
    :ivar direct: selectors of nodes that are not built under the gate
    :ivar empty: the unit has no rows
    :ivar unchanged_days: the build is left out if the unit was published from the same project within so many days
    :ivar run: the DAG run and try, as a person reads them
    :ivar session: name of the role's session
    :ivar partition: of ARNs: aws, aws-cn, aws-us-gov
    """

    schema: str
    data: str
    unit: str | None = None
    attempt: str | None = None
    staging: str | None = None
    fence: str | None = None
    compare: bool = False
    scope: str | None = None
    direct: tuple[str, ...] = ()
    empty: bool = False
    unchanged_days: float | None = None
    run: str = ""
    session: str = "dbt"
    partition: str = "aws"

    def as_mapping(self) -> dict[str, Any]:
        """Return it in plain JSON types."""
        return {**asdict(self), "direct": list(self.direct)}

    @classmethod
    def load(cls, content: Mapping[str, Any]) -> GateRequest:
        """Return the request of its mapping."""
        return cls(**{**content, "direct": tuple(content["direct"])})
