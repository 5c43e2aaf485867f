"""Athena on tables that a crawler made: one Data Catalog, one set of files."""

from __future__ import annotations

import uuid

import pytest


@pytest.fixture
def crawl(warehouse):
    """`crawl("folder", ...)`: crawl folders into tables of the test's database."""
    name = f"crawler-{uuid.uuid4().hex[:8]}"

    def run(*folders):
        targets = {"S3Targets": [{"Path": f"s3://{warehouse.bucket}/{folder}/"} for folder in folders]}
        warehouse.glue.create_crawler(Name=name, Role="r", DatabaseName=warehouse.database, Targets=targets)
        warehouse.glue.start_crawler(Name=name)
        while warehouse.glue.get_crawler(Name=name)["Crawler"]["State"] != "READY":
            pass
        assert warehouse.glue.get_crawler(Name=name)["Crawler"]["LastCrawl"]["Status"] == "SUCCEEDED"

    yield run
    warehouse.glue.delete_crawler(Name=name)


def test_athena_reads_and_writes_what_a_crawler_found(warehouse, crawl):
    import pyarrow as pa

    for month in ("01", "02"):
        rows = [{"id": int(month), "tags": ["a", "b"]}]
        warehouse.put_parquet(
            f"trips/year=2024/month={month}/x.parquet", rows, id=pa.int64(), tags=pa.list_(pa.string())
        )
    warehouse.put("zones/z.csv", "location_id,zone\n1,Newark Airport\n2,Jamaica Bay\n")
    warehouse.put("events/e.json", '{"id": 1, "who": {"name": "x"}}\n{"id": 2, "who": {"name": "y"}}\n')

    crawl("trips", "zones", "events")

    assert warehouse.lines("show tables") == ["events", "trips", "zones"]
    assert warehouse.query("select id, tags, year, month from trips where month = '02'") == [
        ("2", "[a, b]", "2024", "02")
    ]
    assert warehouse.query("select * from zones order by location_id") == [
        ("1", "Newark Airport"),
        ("2", "Jamaica Bay"),
    ]
    assert warehouse.query("select id, who.name from events order by id") == [("1", "x"), ("2", "y")]
    warehouse.run("insert into trips values (3, array['c'], '2024', '03')")
    assert warehouse.partitions("trips") == [("2024", "01"), ("2024", "02"), ("2024", "03")]
    assert len(warehouse.objects("trips/year=2024/month=03/")) == 1
    warehouse.run("insert into events select 3, cast(row('z') as row(name varchar))")
    assert warehouse.query("select max(id), max_by(who.name, id) from events") == [("3", "z")]
