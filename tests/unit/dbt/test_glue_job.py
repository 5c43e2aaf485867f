"""The Glue job of dbt: requests, verdicts and notes of a running dbt are read only in their own version."""

from __future__ import annotations

import io
import json

import pytest

from airflow_lakehouse_provider.dbt import documents, glue_job
from airflow_lakehouse_provider.dbt.documents import VersionError
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.dbt.store import LastTry, Store
from airflow_lakehouse_provider.dbt.verdict import PERMANENT, SUCCESS, DbtVerdict

FOLDER, RUN = "s3://lake/task/glue-1", "jr_1"
REQUEST_URI, VERDICT_URI = f"{FOLDER}/request-1.json", f"{FOLDER}/{RUN}.json"
REMEDY = "the Glue job's script is of another version than the operator. Upload the job's files again"


class NoSuchKey(Exception):
    response = {"Error": {"Code": "NoSuchKey"}}  # noqa: RUF012


class S3:
    """The objects of S3, in memory."""

    class exceptions:
        NoSuchKey = NoSuchKey

    def __init__(self):
        self.objects = {}

    def get_object(self, Bucket, Key):
        try:
            return {"Body": io.BytesIO(self.objects[f"s3://{Bucket}/{Key}"]), "ETag": '"etag"'}
        except KeyError:
            raise NoSuchKey from None

    def put_object(self, Bucket, Key, Body, ContentType):
        self.objects[f"s3://{Bucket}/{Key}"] = Body
        return {"ETag": '"etag"'}


@pytest.fixture
def s3(monkeypatch):
    s3 = S3()
    monkeypatch.setattr("boto3.client", lambda service, **_: s3)
    return s3


def run_job():
    glue_job.main(["--request_uri", REQUEST_URI, "--JOB_RUN_ID", RUN, "--task_uri", "s3://lake/task"])


def of_another_version(document, version):
    content = {**json.loads(document), "version": version}
    return json.dumps({name: value for name, value in content.items() if value is not None}).encode()


VERSIONS = pytest.mark.parametrize(
    ("version", "written"), [(0, "version 0"), (3, "version 3"), ("1", "version '1'"), (None, "no version")]
)


def test_a_request_is_read_as_it_was_written():
    request = DbtRequest({"command": "run", "vars": {"year": 2024}}, "s3://lake/shop.zip", run_key="k", resume=True)
    assert json.loads(request.dump())["version"] == documents.VERSION
    assert DbtRequest.load(request.dump(), REQUEST_URI, REMEDY) == request


@VERSIONS
def test_the_script_refuses_a_request_of_another_version(s3, monkeypatch, version, written):
    monkeypatch.setattr(glue_job, "DbtRun", lambda *_, **__: pytest.fail("dbt was run"))
    s3.objects[REQUEST_URI] = of_another_version(DbtRequest({"command": "run"}, "s3://lake/shop.zip").dump(), version)
    with pytest.raises(SystemExit) as ended:
        run_job()
    assert str(ended.value).startswith(f"{REQUEST_URI} has {written} and version 2 is expected: {REMEDY}")
    # The operator learns of it too, and does not retry.
    verdict = glue_job.read_verdict(s3, FOLDER, RUN)
    assert (verdict.status, verdict.message) == (PERMANENT, str(ended.value))


def test_the_script_refuses_a_request_with_a_member_of_a_later_version(s3):
    s3.objects[REQUEST_URI] = json.dumps({"version": 3, "commands": ["run", "test"]}).encode()
    with pytest.raises(SystemExit, match="has version 3 and version 2 is expected"):
        run_job()


def test_without_a_request_the_job_says_so(s3):
    with pytest.raises(SystemExit, match=f"^There is no request at {REQUEST_URI}: the job is started by "):
        run_job()


def test_the_verdict_of_a_run_is_read_by_the_operator(s3, monkeypatch):
    verdict = DbtVerdict(SUCCESS, result={"command": "run"}, models=[{"unique_id": "model.shop.orders"}])
    monkeypatch.setattr(glue_job, "DbtRun", lambda *_, **__: lambda: verdict)
    monkeypatch.setattr(glue_job.signal, "signal", lambda *_: None)
    s3.objects[REQUEST_URI] = DbtRequest({"command": "run"}, "s3://lake/shop.zip").dump()
    run_job()
    assert json.loads(s3.objects[VERDICT_URI])["version"] == documents.VERSION
    assert glue_job.read_verdict(s3, FOLDER, RUN) == verdict


@VERSIONS
def test_the_operator_refuses_a_verdict_of_another_version(s3, version, written):
    s3.objects[VERDICT_URI] = of_another_version(DbtVerdict(SUCCESS).dump(), version)
    with pytest.raises(VersionError, match=f"^{VERDICT_URI} has {written} and version 2 is expected: {REMEDY}"):
        glue_job.read_verdict(s3, FOLDER, RUN)


def test_a_run_without_a_verdict_has_none(s3):
    assert glue_job.read_verdict(s3, FOLDER, RUN) is None


def test_the_queries_of_a_running_dbt_are_found_by_its_note(s3, monkeypatch):
    seen = {}
    monkeypatch.setattr(glue_job.queries, "stop_running", lambda athena, **given: seen.update(given) or ["q-1"])
    s3.objects[f"{FOLDER}/{RUN}.running.json"] = documents.dump({"invocation_id": "inv-1", "work_group": "w"})
    assert glue_job.stop_queries(s3, None, FOLDER, RUN, 1.5) == ["q-1"]
    assert seen == {"invocation_id": "inv-1", "work_group": "w", "within": 1.5}


@VERSIONS
def test_a_note_of_another_version_stops_nothing(s3, monkeypatch, version, written):
    monkeypatch.setattr(glue_job.queries, "stop_running", lambda *_, **__: pytest.fail("queries were stopped"))
    running = documents.dump({"invocation_id": "inv-1", "work_group": None})
    s3.objects[f"{FOLDER}/{RUN}.running.json"] = of_another_version(running, version)
    with pytest.raises(VersionError, match=f"has {written} and version 2 is expected: {REMEDY}"):
        glue_job.stop_queries(s3, None, FOLDER, RUN, 1.5)


@VERSIONS
def test_the_last_try_of_another_version_is_not_continued(s3, version, written):
    store = Store(s3, "s3://lake/task")
    last = LastTry("key", "fingerprint", "s3://lake/task/inv-1", True, {"model.shop.orders": "q-1"})
    store.remember(last)
    assert store.last() == last
    s3.objects["s3://lake/task/last.json"] = of_another_version(s3.objects["s3://lake/task/last.json"], version)
    with pytest.raises(VersionError, match=f"^s3://lake/task/last.json has {written} and version 2 is expected"):
        store.last()
