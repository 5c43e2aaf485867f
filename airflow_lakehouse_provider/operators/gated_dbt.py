"""gated_dbt: a task group that builds a unit of a dbt project, tests it and publishes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_lakehouse_provider._airflow.compat import TaskGroup
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator
from airflow_lakehouse_provider.operators.publish import PublishOperator

BUILD, TEST, PUBLISH = "dbt_build", "dbt_test", "publish"
# A unit's gate tests its data; unit tests test the project's code.
_NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
_NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
# Arguments of dbt's tasks that say where AWS is, which the publishing task has too.
_SHARED = ("work_group", "s3_staging_dir", "aws_conn_id", "region_name", "botocore_config")


def gated_dbt(
    *,
    unit: str,
    fence: str | bool,
    group_id: str = "dbt",
    prefix_group_id: bool = True,
    partitions: str | None = None,
    direct: str | Sequence[str] | None = None,
    empty: bool | str = False,
    skip_unchanged_days: float | str | None = None,
    accept: str | Sequence[str] | None = None,
    reason: str | None = None,
    accepted_by: str | None = None,
    build: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
    publish: Mapping[str, Any] | None = None,
    **dbt: Any,
) -> Any:
    """Return a task group of three tasks: nobody reads the unit before its tests have passed.

    ``dbt_build`` builds into an audit schema, a clone of production by pointers; ``dbt_test`` is the gate; ``publish``
    moves production's pointers. A failed gate leaves production as it is.

    :param unit: what is published together, such as ``"{{ month() }}"``
    :param fence: ARN of the IAM role whose session dbt gets, with a policy that lets it write into the audit schema
        alone; or False: production's files are compared before and after the build
    :param partitions: the partitions that the unit owns, an expression of Glue's GetPartitions; others are refused
    :param direct: selectors of nodes that are left out, to be built by a task of their own without a gate
    :param empty: the unit has no rows: its partitions are removed
    :param skip_unchanged_days: the group is skipped if the unit was published from the same project within so many days
    :param accept: tests that may fail this once, by name or unique id; with ``reason`` and ``accepted_by``
    :param build: further arguments of the task dbt_build, ``test`` and ``publish`` likewise
    :param dbt: arguments of both DbtAthenaOperator tasks: project, schema, s3_data_dir, vars, select and so on
    """
    with TaskGroup(group_id, prefix_group_id=prefix_group_id) as group:
        builds = DbtAthenaOperator(
            task_id=BUILD,
            command="build",
            audit=unit,
            fence=fence,
            partitions=partitions,
            direct=direct,
            empty=empty,
            skip_unchanged_days=skip_unchanged_days,
            **{"flags": list(_NO_TESTS), **dbt, **(build or {})},
        )
        attempt: Any = builds.output["attempt"]  # type: ignore[index]
        tests = DbtAthenaOperator(
            task_id=TEST,
            command="test",
            audit=attempt,
            fence=fence,
            accept=accept,
            **{"flags": list(_NO_UNIT_TESTS), **dbt, **(test or {})},
        )
        publishes = PublishOperator(
            task_id=PUBLISH,
            attempt=attempt,
            accept=accept,
            reason=reason,
            accepted_by=accepted_by,
            **{**{name: dbt[name] for name in _SHARED if name in dbt}, **(publish or {})},
        )
        builds >> tests >> publishes
    return group
