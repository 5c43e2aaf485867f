"""The dbt project's contracts, docs, freshness, many months, and months at once."""

from __future__ import annotations

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import yaml

NO_UNIT_TESTS = ["--exclude-resource-type", "unit_test"]
NO_TESTS = ["--exclude-resource-type", "test", *NO_UNIT_TESTS]


@pytest.fixture(scope="module")
def built(warehouse):
    """A first build over more months than a CTAS of Athena's may open partitions of: 105 of them."""
    months = [(2010 + at // 12, at % 12 + 1) for at in range(105)]
    for year, month in months:
        warehouse.cleaned.load(year, month, [{}, {"total_amount": Decimal("-13.50"), "is_reversal": True}])
    warehouse.dbt("build", flags=NO_TESTS)
    return warehouse


@pytest.mark.slow
def test_a_first_build_of_more_than_100_partitions(built):
    for table in ("fct_trips", "fct_trips_daily", "mart_monthly_revenue", "mart_zone_flows"):
        assert len(built.partitions(table)) == 105
        assert built.query(
            f"select count(*), count(distinct year * 100 + month), max(year), max(month) from {table}"
        ) == [("210" if table == "fct_trips" else "105", "105", "2018", "12")]
    assert built.query("select count(*), sum(rows_read), sum(loads) from mart_load_quality") == [("105", "210", "105")]


@pytest.mark.slow
def test_docs_are_generated_without_a_warning_and_describe_every_model_and_column(built, tmp_path):
    built.record("2001-01", "2001-03-01 10:00:00.000", generation=1, kind="publication", state="published")
    status, output = built.by_hand("--warn-error", "docs", "generate", target=tmp_path)
    assert status == 0, output  # a warning of dbt's would be an error
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    catalog = json.loads((tmp_path / "catalog.json").read_text())
    assert catalog["errors"] is None
    nodes = {**manifest["nodes"], **manifest["sources"]}
    described = [key for key, node in nodes.items() if node["resource_type"] in ("model", "seed", "source")]
    found = {**catalog["nodes"], **catalog["sources"]}
    assert sorted(described) == sorted(found)
    for key in described:
        assert nodes[key]["description"], key
        columns = {name.lower(): column["description"] for name, column in nodes[key]["columns"].items()}
        assert set(columns) == set(found[key]["columns"]), key
        assert all(columns.values()), key
    for section in ("macros", "exposures", "unit_tests"):
        for key, node in manifest[section].items():
            assert node["description"] or node["package_name"] != "nyc_taxi" or node["name"].startswith("test_"), key
    (exposure,) = manifest["exposures"].values()
    assert {f"model.nyc_taxi.{name}" for name in ("fct_trips", "fct_trips_daily", "mart_load_quality")} <= set(
        exposure["depends_on"]["nodes"]
    )


@pytest.mark.slow
def test_only_the_loads_since_the_last_build_are_read_and_written(built, tmp_path):
    tables = ("fct_trips", "fct_trips_daily", "mart_monthly_revenue", "mart_zone_flows")
    before = {table: built.objects(table) for table in tables}
    built.cleaned.load(2012, 7, [{"trip_distance": 9.0}] * 3, at=7)
    built.cleaned.load(2019, 1, [{}], at=7)
    built.cleaned.load(2013, 2, [], rejected=4, at=7)
    built.cleaned.load(2014, 3, [{}] * 9, at=7, status="refused")
    result = built.dbt("run", select="fct_trips+")
    assert result["counts"] == {"success": 6}
    # The emptied one is removed by a publication, or by hand.
    assert all(("2013", "2") in built.partitions(table) for table in tables)
    status, output = built.by_hand("run-operation", "drop_emptied_months", target=tmp_path)
    assert status == 0, output
    changed = ("year=2012/month=7/", "year=2019/month=1/", "year=2013/month=2/")
    for table in tables:
        after = built.objects(table)
        kept = {key for key in before[table] if not any(part in key for part in changed)}
        assert {key: after[key] for key in kept} == {key: before[table][key] for key in kept}
        assert not {key for key in after if changed[2] in key}
        assert {key for key in after if key not in kept} == {
            key for key in after if any(part in key for part in changed[:2])
        }
        assert ("2013", "2") not in built.partitions(table)
    # Nothing is new: nothing is written.
    before = {table: built.objects(table) for table in tables}
    built.dbt("run", select="fct_trips+")
    assert {table: built.objects(table) for table in tables} == before
    status = built.query("select rows_kept, rejected_total_missing, kept_share from mart_load_quality where year = 2013"
                       " and month = 2")  # fmt: skip
    assert status == [("0", "4", "0.0")]


@pytest.mark.slow
def test_a_month_in_scope_reads_only_its_own_bytes(built):
    """One of three large months is read; the audit and the dimensions beside it are small."""
    for month in (1, 2, 3):
        built.cleaned.load(2020, month, [{}] * 40_000, at=8)
    built.dbt("run", select="fct_trips")
    all_three = built.scanned_for("fct_trips")
    january = {"year": 2020, "month": 1}
    built.dbt("run", select="fct_trips", vars=january)
    assert 0 < built.scanned_for("fct_trips") * 2 < all_three
    # So does the gate.
    built.dbt("test", select="stg_trips", vars=january, flags=NO_UNIT_TESTS)
    tests = built.queries("accepted_values_stg_trips")
    assert len(tests) == 4
    assert all(0 < query["Statistics"]["DataScannedInBytes"] * 2 < all_three for query in tests)


@pytest.mark.slow
def test_months_at_once(built):
    months = [{"year": 2021, "month": month} for month in (1, 2, 3, 4)]
    for month in months:
        built.cleaned.load(month["year"], month["month"], [{}] * month["month"], at=9)
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(
                lambda month: built.dbt("run", select="path:models/staging fct_trips+ mart_load_quality", vars=month),
                months,
            )
        )
    assert [result["counts"] for result in results] == [{"success": 9}] * 4
    assert built.query("select month, count(*) from fct_trips where year = 2021 group by month order by month") == [
        *(("1", "1"), ("2", "2"), ("3", "3"), ("4", "4"))
    ]
    assert built.query(
        "select month, sum(trips) from mart_zone_flows where year = 2021 group by month order by month"
    ) == [*(("1", "1"), ("2", "2"), ("3", "3"), ("4", "4"))]
    assert not [name for (name,) in built.query("show tables") if "tmp" in name]


@pytest.mark.slow
def test_freshness_is_that_of_the_newest_month_not_of_the_last_load(built, tmp_path):
    """The TLC publishes a month two months after its end: at 100 days one is late, at 130 one is missing."""
    today = datetime.date.today()
    for months_ago in (7, 5, 4, 3, 2):
        first = (today.year * 12 + today.month - 1) - months_ago
        built.cleaned.load(first // 12, first % 12 + 1, [{}], at=10)
        end = datetime.date((first + 1) // 12, (first + 1) % 12 + 1, 1)
        age = (today - end).days
        status, output = built.by_hand("source", "freshness", target=tmp_path)
        (source,) = json.loads((tmp_path / "sources.json").read_text())["results"]
        assert source["max_loaded_at"].startswith(str(end)), output
        assert source["status"] == ("pass" if age < 100 else "warn" if age < 130 else "error"), age
        assert status == (1 if source["status"] == "error" else 0)
    # A refused month is not there, and an old one loaded now is as old as it is.
    built.cleaned.load(today.year, today.month, [{}], at=11, status="refused")
    built.cleaned.load(2010, 1, [{}], at=12)
    built.by_hand("source", "freshness", target=tmp_path)
    (again,) = json.loads((tmp_path / "sources.json").read_text())["results"]
    assert again["max_loaded_at"] == source["max_loaded_at"]


def test_every_contract_is_enforced_and_no_package_is_needed(repository):
    project = yaml.safe_load((repository / "dbt_models/dbt_project.yml").read_text())
    assert project["models"]["nyc_taxi"]["marts"]["+contract"] == {"enforced": True}
    assert not (repository / "dbt_models/packages.yml").exists()


@pytest.mark.slow
def test_money_of_another_precision_fails_its_test(built, boto):
    """A contract would let it pass."""
    glue = boto("glue")
    table = glue.get_table(DatabaseName=built.marts, Name="fct_trips_daily")["Table"]
    for column in table["StorageDescriptor"]["Columns"]:
        if column["Name"] == "total_amount":
            column["Type"] = "decimal(38,2)"
    known = ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
    changed = {name: table[name] for name in known}
    glue.update_table(DatabaseName=built.marts, TableInput=changed)
    with pytest.raises(Exception, match="has_types_fct_trips_daily"):
        built.dbt("test", select="has_types_fct_trips_daily")
