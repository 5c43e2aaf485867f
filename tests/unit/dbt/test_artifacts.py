"""run_results.json and sources.json in numbers and words."""

from __future__ import annotations

import json

import pytest

from airflow_lakehouse_provider.dbt.artifacts import MESSAGE_CHARACTERS, ArtifactError, DbtResults, NodeResult


def result(unique_id, status, **more):
    return {"unique_id": unique_id, "status": status, "execution_time": 1.23456, "adapter_response": {}, **more}


@pytest.fixture
def outcome(tmp_path):
    def read(*results, queries=None, elapsed=2.5):
        file = tmp_path / "run_results.json"
        file.write_text(json.dumps({"results": results, "elapsed_time": elapsed}))
        return DbtResults.read(file, queries)

    return read


PASSED = result("test.shop.not_null_a.1f", "pass", failures=0)
UNIQUE = result(
    "test.shop.unique_fct_trips_trip_id.3e", "fail", failures=14, message="Got 14 results, configured to fail if != 0"
)
SINGULAR = result("test.shop.assert_some", "fail", failures=1)
BROKEN = result("model.shop.orders", "error", message="TYPE_MISMATCH: line 1:8: cannot\n  apply")
SKIPPED = result("model.shop.mart", "skipped", message=None)
BUILT = result(
    "model.shop.orders", "success", adapter_response={"rows_affected": 7, "data_scanned_in_bytes": 99}, message="OK 7"
)


def test_a_model_that_was_built(outcome):
    read = outcome(BUILT, queries={"model.shop.orders": "q-1"})
    assert read.nodes == (NodeResult("model.shop.orders", "success", 1.235, 7, 99, "q-1", "OK 7"),)
    assert read.counts == {"success": 1}
    assert read.as_mapping()["nodes"][0] == {
        "unique_id": "model.shop.orders",
        "status": "success",
        "seconds": 1.235,
        "rows": 7,
        "bytes_scanned": 99,
        "query_id": "q-1",
        "message": "OK 7",
    }
    assert read.sentence() == "nothing failed of 1 node"


def test_minus_one_row_is_unknown(outcome):
    assert outcome(result("model.a.b", "success", adapter_response={"rows_affected": -1})).nodes[0].rows is None


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        (
            [PASSED, UNIQUE, SINGULAR],
            "2 of 3 tests failed: unique_fct_trips_trip_id (14 rows), assert_some (1 row)",
        ),
        (
            [BROKEN, SKIPPED],
            "1 of 2 models failed: orders: TYPE_MISMATCH: line 1:8: cannot apply (Athena query q-1); 1 node skipped",
        ),
        (
            [UNIQUE, BROKEN],
            "1 of 1 model failed, 1 of 1 test failed: orders: TYPE_MISMATCH: line 1:8: cannot apply (Athena query q-1)"
            ", unique_fct_trips_trip_id (14 rows)",
        ),
        (
            [{"unique_id": "source.shop.raw.orders", "status": "error", "max_loaded_at": "2024-01-01T00:00:00Z"}],
            "1 of 1 source failed: raw.orders: last loaded 2024-01-01T00:00:00Z",
        ),
        (
            [{"unique_id": "source.shop.raw.orders", "status": "runtime error", "error": "no such table"}],
            "1 of 1 source failed: raw.orders: no such table",
        ),
        ([result("unit_test.shop.orders.a_case", "fail", failures=1)], "1 of 1 unit test failed: orders.a_case"),
    ],
)
def test_failures_in_words(outcome, results, sentence):
    assert outcome(*results, queries={"model.shop.orders": "q-1"}).sentence() == sentence


def test_many_failures_are_not_all_named(outcome):
    many = outcome(*(result(f"test.shop.t{number}.ff", "fail", failures=2) for number in range(13)))
    assert many.sentence().startswith("13 of 13 tests failed: t0 (2 rows), t1 (2 rows)")
    assert many.sentence().endswith("t9 (2 rows), and 3 more")
    assert len(many.as_mapping()["failures"]) == 13


@pytest.mark.parametrize(
    ("results", "only_facts"),
    [
        ([PASSED, UNIQUE], True),
        ([UNIQUE, BROKEN], False),
        ([result("test.shop.t.1", "error", message="throttled"), UNIQUE], False),
        ([{"unique_id": "source.shop.raw.orders", "status": "error"}], True),
        ([{"unique_id": "source.shop.raw.orders", "status": "runtime error"}], False),
        ([result("model.shop.m", "partial success")], False),
        ([result("model.shop.m", "error", message="Compilation Error in model m (m.sql)\n  oh")], True),
        ([PASSED, result("test.shop.t.1", "warn", failures=3)], False),
    ],
)
def test_whether_only_permanent_failures(outcome, results, only_facts):
    assert outcome(*results).only_permanent_failures is only_facts


def test_long_messages_are_cut_for_xcom_only(outcome):
    read = outcome(result("model.shop.m", "error", message="x" * 5000))
    assert len(read.nodes[0].message) == 5000
    assert len(read.as_mapping()["nodes"][0]["message"]) == MESSAGE_CHARACTERS


def test_an_artifact_never_written_has_no_nodes(tmp_path):
    assert DbtResults.read(tmp_path / "run_results.json").nodes == ()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"results": [{"status": "pass"}]}', '{"results": [7]}'])
def test_an_artifact_that_dbt_would_not_write(tmp_path, content):
    file = tmp_path / "run_results.json"
    file.write_text(content)
    with pytest.raises(ArtifactError, match=r"run_results\.json of dbt cannot be read"):
        DbtResults.read(file)
