"""The names that columns have had, and that the documentation shows all of them."""

from __future__ import annotations

import pytest
import yaml

pytest.importorskip("pyspark", reason="needs the extra 'local'")

from trips.arguments import MARKS, REASONS
from trips.audit import SCHEMA as AUDIT
from trips.columns import RAW, TRIPS, canonical
from trips.errors import LoadError

TIMES = ["tpep_pickup_datetime", "tpep_dropoff_datetime"]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        *(("VendorID", "vendor_id"), (" vendor_name", "vendor_id"), ("RateCodeID", "rate_code_id")),
        *(("RatecodeID", "rate_code_id"), ("PULocationID", "pickup_location_id"), ("Airport_fee", "airport_fee")),
        *(("payment_type", "payment_type_id"), ("TOTAL_AMT ", "total_amount"), ("trip_type", "trip_type_id")),
    ],
)
def test_names_are_matched_without_case_and_blanks(raw, name):
    found, unknown = canonical([*TIMES, raw], "f")
    assert (found[name], unknown) == (raw, [])


def test_unknown_columns_are_listed_and_a_missing_one_is_named():
    assert canonical([*TIMES, "request_source"], "f")[1] == ["request_source"]
    with pytest.raises(LoadError, match=r"f has no column for dropoff_at \(one of tpep_dropoff_datetime, .*it has t"):
        canonical(TIMES[:1], "f")
    with pytest.raises(LoadError, match="f has two columns for airport_fee: 'airport_fee' and 'Airport_Fee'; remove"):
        canonical([*TIMES, "airport_fee", "Airport_Fee"], "f")


def test_the_documentation_names_every_alias_reason_and_mark(repository):
    text = (repository / "docs" / "cleaning-rules.md").read_text()
    for name, (type_, aliases) in RAW.items():
        assert f"| `{name}` | {type_} | {', '.join(f'`{alias}`' for alias in aliases)} |" in text
    assert [name for name in (*REASONS, *MARKS) if f"`{name}`" not in text] == []
    assert [name for name in TRIPS if f"`{name}`" not in text] == []


def test_dbts_sources_have_exactly_the_columns_that_are_written(repository):
    sources = yaml.safe_load((repository / "dbt_models/models/staging/sources.yml").read_text())["sources"][0]
    declared = {table["name"]: [column["name"] for column in table["columns"]] for table in sources["tables"]}
    keys = ["service", "year", "month"]
    assert declared == {
        "trips": [*TRIPS, *keys],
        "quarantine_trips": [*TRIPS, "reasons", "raw_row", *keys],
        "load_audit": AUDIT.names,
    }
