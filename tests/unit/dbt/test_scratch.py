"""A task's own place on disk, and the cache that tasks share: who removes what, and when."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from airflow_lakehouse_provider.dbt import scratch
from airflow_lakehouse_provider.dbt.scratch import Cache, Scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_place_is_gone_with_its_task_whatever_is_in_it(temporary):
    with Scratch() as place:
        assert place.path.stat().st_mode & 0o777 == 0o700
        inner = place.path / "packages"
        inner.mkdir()
        (inner / "file").touch()
        inner.chmod(0o500)
        with Scratch() as other:
            assert place.path.is_dir()
            assert other.path != place.path
    assert not list(temporary.iterdir())


def test_what_a_killed_task_left_is_swept_by_the_next(temporary):
    script = (
        f"import tempfile, time; tempfile.tempdir = {str(temporary)!r}\n"
        "from airflow_lakehouse_provider.dbt.scratch import Scratch\n"
        "with Scratch() as place:\n    print(place.path, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    left = process.stdout.readline().strip()
    scratch.sweep()
    assert os.path.isdir(left), "it was in use"
    process.kill()
    process.communicate()
    scratch.sweep()
    assert not os.path.exists(left)


def test_a_place_being_made_is_not_swept(temporary):
    young, old = temporary / f"{scratch.PREFIX}young", temporary / f"{scratch.PREFIX}old"
    for folder in (young, old):
        folder.mkdir()
    os.utime(old, (0, 0))
    scratch.sweep()
    assert young.is_dir()
    assert not old.exists()


def fill(content):
    def fill(folder):
        fill.calls += 1
        (folder / "file").write_text(content)

    fill.calls = 0
    return fill


def test_the_same_is_fetched_once_by_tasks_at_once(tmp_path):
    cache, fetch, seen = Cache(tmp_path / "cache"), fill("x"), []

    def use():
        with cache.entry("project", "key", fetch) as folder:
            seen.append((folder / "file").read_text())

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["x"] * 8
    assert fetch.calls == 1


def test_what_could_not_be_fetched_is_no_entry(tmp_path):
    cache = Cache(tmp_path / "cache")

    def broken(folder):
        (folder / "half").touch()
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"), cache.entry("project", "key", broken):
        raise AssertionError("never entered")
    with cache.entry("project", "key", fill("x")) as folder:
        assert [file.name for file in folder.iterdir()] == ["file"]


def test_the_longest_unused_go_first_and_nothing_in_use(tmp_path):
    cache = Cache(tmp_path / "cache", most=2)

    def there(key):
        return (cache.root / f"project-{scratch.digest(key)}").is_dir()

    with cache.entry("project", "used", fill("x")) as used:
        os.utime(used, (1, 1))
        for at, key in enumerate(("old", "newer", "newest")):
            with cache.entry("project", key, fill("x")) as folder:
                pass
            os.utime(folder, (time.time() - 100 + at,) * 2)
        with cache.entry("project", "last", fill("x")):
            pass
        assert there("used")
        assert not there("old")
    small = Cache(cache.root, most_bytes=0)
    with small.entry("project", "last", fill("x")):
        assert [key for key in ("used", "old", "newer", "newest", "last") if there(key)] == ["last"]


def test_files_are_kept_whole_and_their_loss_fails_nothing(tmp_path):
    cache = Cache(tmp_path / "cache")
    source, target = tmp_path / "source", tmp_path / "target"
    assert not cache.load("parsed", "key", target)
    source.write_text("1")
    cache.keep("parsed", "key", source)
    assert cache.load("parsed", "key", target)
    assert target.read_text() == "1"
    cache.keep("parsed", "key", tmp_path / "nowhere")
    assert cache.load("parsed", "key", target)


def test_a_cache_that_is_somebody_elses_is_not_used(temporary, monkeypatch):
    Cache()
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    (temporary / f"lakehouse-dbt-cache-{os.getuid()}").mkdir()
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        Cache()
