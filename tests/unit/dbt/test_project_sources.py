"""Projects out of archives and S3: fetched once per content, and never written outside of their place."""

from __future__ import annotations

import stat
import zipfile

import pytest

from airflow_lakehouse_provider.dbt import project as sources
from airflow_lakehouse_provider.dbt.project import Project, ProjectError, UnreachableError
from airflow_lakehouse_provider.dbt.scratch import Cache

moto = pytest.importorskip("moto")
FILES = {"dbt_project.yml": "name: shop\n", "models/orders.sql": "select 1"}


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with moto.mock_aws():
        import boto3

        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="code")
        yield client


def archive(path, files, **attributes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            packed.writestr(info, content)
    return str(path)


def counted(s3):
    calls = []
    s3.meta.events.register("before-call.s3.GetObject", lambda **_: calls.append(1))
    return calls


@pytest.mark.parametrize("top", ["", "shop-main/"])
def test_a_zip(tmp_path, cache, top):
    where = archive(tmp_path / "shop.zip", {f"{top}{name}": content for name, content in FILES.items()})
    with Project.at(where, cache, None) as project:
        assert (project.name, project.source) == ("shop", where)
        assert (project.directory / "models/orders.sql").read_text() == "select 1"


@pytest.mark.parametrize("name", ["../out.sql", "/etc/out", "models/../../out", "C:\\out", "..\\out", "C:/out"])
def test_paths_that_lead_out(tmp_path, cache, name):
    where = archive(tmp_path / "shop.zip", {**FILES, name: "x"})
    with pytest.raises(ProjectError, match="leads out of the project"), Project.at(where, cache, None):
        raise AssertionError("never entered")
    assert not list(tmp_path.rglob("out*"))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda p: archive(p, FILES, external_attr=(stat.S_IFLNK | 0o777) << 16), "holds a symbolic link"),
        (lambda p: archive(p, {"readme": "x"}), "holds no dbt_project.yml"),
        (lambda p: archive(p, {f"{top}/dbt_project.yml": "name: x" for top in "ab"}), "there are 2"),
        (lambda p: p.write_text("no zip") and str(p), "is not a zip that can be read"),
        (lambda p: archive(p, {**FILES, "models": "x"}), "twice, or as file and folder"),
        (lambda p: str(p), "is not a file on this worker"),
    ],
)
def test_what_is_no_project_archive(tmp_path, cache, made, message):
    where = made(tmp_path / "shop.zip")
    with pytest.raises(ProjectError, match=message), Project.at(where, cache, None):
        raise AssertionError("never entered")


def test_an_archive_that_unpacks_to_too_much(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 1000)
    where = archive(tmp_path / "shop.zip", {**FILES, "seeds/zeros.csv": "0" * 1001})
    with pytest.raises(ProjectError, match="unpacks to more than"), Project.at(where, cache, None):
        raise AssertionError("never entered")


@pytest.mark.parametrize("kind", ["zip", "prefix"])
def test_s3_is_read_once_per_content(s3, cache, tmp_path, kind):
    def put(**changed):
        files = {**FILES, **changed}
        if kind == "zip":
            s3.upload_file(archive(tmp_path / "shop.zip", files), "code", "shop.zip")
        else:
            for name, content in files.items():
                s3.put_object(Bucket="code", Key=f"shop/{name}", Body=content.encode())

    put()
    s3.put_object(Bucket="code", Key="shop/target/manifest.json", Body=b"{}")
    where, calls = f"s3://code/shop{'.zip' if kind == 'zip' else '/'}", counted(s3)
    for _ in range(2):
        with Project.at(where, cache, lambda: s3) as project:
            first = project.directory
            assert not (first / "target").exists()
    assert len(calls) == (1 if kind == "zip" else 2)
    put(**{"models/orders.sql": "select 2"})
    with Project.at(where, cache, lambda: s3) as project:
        assert project.directory != first
        assert (project.directory / "models/orders.sql").read_text() == "select 2"


def test_keys_that_lead_out(s3, cache):
    s3.put_object(Bucket="code", Key="shop/dbt_project.yml", Body=b"name: shop")
    s3.put_object(Bucket="code", Key="shop/../../out", Body=b"x")
    with pytest.raises(ProjectError, match="leads out of the project"), Project.at("s3://code/shop", cache, lambda: s3):
        raise AssertionError("never entered")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("s3://code/none.zip", "does not exist"),
        ("s3://nowhere/shop", r"does not exist \(NoSuchBucket\)"),
        ("s3://code/none", "holds nothing"),
    ],
)
def test_what_s3_has_not(s3, cache, where, message):
    with pytest.raises(ProjectError, match=message), Project.at(where, cache, lambda: s3):
        raise AssertionError("never entered")


@pytest.mark.parametrize(
    ("code", "status", "error", "message"),
    [
        ("AccessDenied", 403, ProjectError, "may not be read .* allow s3:GetObject"),
        ("SlowDown", 503, UnreachableError, "could not be fetched"),
        ("PreconditionFailed", 412, UnreachableError, "it was changed while it was read"),
    ],
)
def test_what_s3_refuses(cache, code, status, error, message):
    from botocore.exceptions import ClientError

    class Refusing:
        def head_object(self, **_):
            answer = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(answer, "HeadObject")

    with pytest.raises(error, match=message), Project.at("s3://code/shop.zip", cache, Refusing):
        raise AssertionError("never entered")


def test_a_fingerprint_is_of_the_projects_own_files(tmp_path):
    def made(**more):
        for name, content in {**FILES, **more}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        return Project.open(tmp_path).fingerprint()

    first = made()
    assert made(**{"target/run.sql": "x", "logs/dbt.log": "x"}) == first
    assert made(**{"models/orders.sql": "select 2"}) != first
    first, second = (tmp_path.parent / f"{tmp_path.name}-{number}.zip" for number in (1, 2))
    sources.pack(Project.open(tmp_path), first)
    sources.pack(Project.open(tmp_path), second)
    assert first.read_bytes() == second.read_bytes()
