"""Sweeping removes what nobody needs, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_lakehouse_provider.publishing.names import PublishingError, new_audit
from airflow_lakehouse_provider.publishing.sweep import Sweeper, SweepSettings


def sweep(lake, *, hours=48.0, **settings):
    """Sweep as if it were so many hours later."""
    later = datetime.now(timezone.utc) + timedelta(hours=hours)
    return Sweeper(
        lake.glue,
        lake.s3,
        lake.places,
        SweepSettings((lake.schema,), **settings),
        log=lake.lines.append,
        now=later,
    ).sweep()


def audits(lake):
    found = lake.glue.get_paginator("get_databases").paginate()
    return {each["Name"] for page in found for each in page["DatabaseList"] if each["Name"].startswith(lake.schema)}


def files(lake, prefix="tables/generations/"):
    pages = lake.s3.get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix=prefix)
    return {item["Key"] for page in pages for item in page.get("Contents", ())}


def test_what_is_public_and_the_generation_before_it_stay(lake):
    for amount in (1, 2, 3, 4):
        lake.publish_month(1, [amount], "totals")
    lake.publish_month(2, [20])
    before = files(lake)
    swept = sweep(lake)
    assert lake.facts() == [(1, 1, 4), (2, 1, 20)]
    assert len(swept.databases) == 5
    assert audits(lake) == {lake.schema}
    gone = before - files(lake)
    # Of the first two generations of January: a partition's file and the whole table's each.
    assert len(gone) == swept.files == 4
    lake.publisher().rollback("2024-01")
    assert lake.facts() == [(1, 1, 3), (2, 1, 20)]
    with pytest.raises(PublishingError, match="cannot come back"):
        lake.publisher().rollback("2024-01", 1)


@pytest.mark.slow
def test_everything_young_stays(lake):
    for amount in (1, 2, 3, 4):
        lake.publish_month(1, [amount])
    before = files(lake), audits(lake)
    swept = sweep(lake, hours=1)
    assert (swept.files, swept.databases) == (0, [])
    assert (files(lake), audits(lake)) == before


def test_an_attempt_that_waits_for_its_publication_stays(lake):
    lake.publish_month(1, [1])
    uri = lake.built("2024-01", 1, [2])
    sweep(lake, hours=1)
    lake.publisher().publish(uri)
    assert lake.facts() == [(1, 1, 2)]


@pytest.mark.slow
def test_an_attempt_that_died_goes_and_its_publication_is_refused(lake):
    lake.publish_month(1, [1])
    uri = lake.built("2024-01", 1, [2])
    swept = sweep(lake)
    assert len(swept.databases) == 2
    assert lake.facts() == [(1, 1, 1)]
    with pytest.raises(PublishingError, match="build again"):
        lake.publisher().publish(uri)


@pytest.mark.slow
def test_files_of_a_table_built_by_hand_stay(lake):
    lake.publish_month(1, [1])
    lake.by_hand(2, [2, 2])
    sweep(lake)
    assert lake.facts() == [(1, 1, 1), (2, 2, 4)]


@pytest.mark.slow
def test_a_dry_run_changes_nothing_and_says_what_would_go(lake):
    for amount in (1, 2, 3):
        lake.publish_month(1, [amount])
    before = files(lake), audits(lake)
    swept = sweep(lake, dry_run=True)
    assert swept.files == 1
    assert swept.bytes > 0
    assert len(swept.databases) == 3
    assert (files(lake), audits(lake)) == before
    assert any(line.startswith("Would delete 1 files") for line in lake.lines)


@pytest.mark.slow
def test_temporary_tables_of_killed_runs_go_with_their_files(lake):
    lake.publish_month(1, [1])
    place = f"s3://{lake.bucket}/tables/tmp/x"
    lake.query(f"create table {lake.schema}.facts__dbt_tmp_1234 with (external_location='{place}') as select 1 as a")
    lake.query(f"create table {lake.schema}.other with (external_location='{place}2') as select 1 as a")
    assert sweep(lake, hours=1).tables == []
    assert sweep(lake).tables == [f"{lake.schema}.facts__dbt_tmp_1234"]
    assert not lake.exists(lake.schema, "facts__dbt_tmp_1234")
    assert files(lake, "tables/tmp/x/") == set()
    assert lake.query(f"select a from {lake.schema}.other") == [("1",)]


@pytest.mark.slow
def test_a_foreign_schema_of_a_similar_name_is_left_alone(lake):
    lake.publish_month(1, [1])
    similar = new_audit(f"{lake.schema}_dev")
    lake.glue.create_database(DatabaseInput={"Name": similar})
    sweep(lake)
    assert similar in audits(lake)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schemas": ()}, "schemas is empty"),
        ({"schemas": ("a",), "keep_generations": 0}, "keep_generations is 0; it must be a whole number from 1"),
        ({"schemas": ("a",), "keep_hours": 0}, "keep_hours is 0; it must be 1 or more hours"),
    ],
)
def test_settings_that_would_remove_what_is_needed(settings, message):
    with pytest.raises(PublishingError, match=message):
        SweepSettings(**settings)
