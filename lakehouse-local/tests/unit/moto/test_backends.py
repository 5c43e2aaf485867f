"""moto's state, kept; and moto itself, left as it was."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")

from lakehouse_local.moto import backends as state
from lakehouse_local.moto.backends import MotoState

ACCOUNT, REGION = "123456789012", "us-east-1"


class OddDict(defaultdict):  # type: ignore[type-arg]
    """Like moto's ParameterDict: its constructor takes no factory."""

    def __init__(self, account: str) -> None:
        super().__init__(list)
        self.account = account


def pickled(content: object) -> object:
    import pickle

    return pickle.loads(state._pickled("ssm", content))


def test_what_models_hold_besides_data() -> None:
    odd = OddDict("1")
    odd["k"].append("v")
    content = {"lock": threading.Lock(), "rlock": threading.RLock(), "odd": odd, "f": lambda: {"a": len("abc")}}
    copy = pickled(content)
    assert isinstance(copy, dict)
    with copy["lock"], copy["rlock"]:
        pass
    assert copy["odd"] == {"k": ["v"]}
    assert copy["odd"].account == "1"
    assert copy["odd"]["new"] == []
    assert copy["f"]() == {"a": 3}


def test_log_lines_are_kept_over_a_restart(tmp_path: Path) -> None:
    first = MotoState(tmp_path)
    first.load()
    first.write_log_events(ACCOUNT, REGION, "/aws-glue/jobs/output", "jr_1", ["one", "two"])
    first.write_log_events(ACCOUNT, REGION, "/aws-glue/jobs/output", "jr_1", ["three"])
    first.write_log_events(ACCOUNT, REGION, "/aws-glue/jobs/output", "jr_2", [])
    first.close()
    second = MotoState(tmp_path)
    second.load()
    try:
        from moto.logs.models import logs_backends

        streams = logs_backends[ACCOUNT][REGION].groups["/aws-glue/jobs/output"].streams
        assert [event.message for event in streams["jr_1"].events] == ["one", "two", "three"]
        assert streams["jr_2"].events == []
    finally:
        second.close()


def test_what_cannot_be_kept_is_said_once_and_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = MotoState(tmp_path)
    kept.load()
    try:
        backend = state.get_backend("sns")[ACCOUNT][REGION]
        backend.unkeepable = open(tmp_path / "file", "w")  # noqa: SIM115
        kept.save("sns")
        kept.save("sns")
        assert [record.message.split(":")[0] for record in caplog.records] == [
            "sns is not saved and will be lost at a restart"
        ]
        backend.unkeepable.close()
    finally:
        kept.close()
    assert not list(tmp_path.glob("sns*"))


def test_moto_is_as_it_was_afterwards(tmp_path: Path) -> None:
    from moto.core.common_models import BaseModel
    from moto.s3 import models

    from lakehouse_local.moto.s3 import Installation
    from lakehouse_local.s3.store import ObjectStore

    def seen() -> list[object]:
        return [dict(owner.__dict__) for owner in (models.FakeKey, models.FakeBucket, models.S3Backend)] + [
            BaseModel.__dict__["__new__"]
        ]

    before = seen()
    store = ObjectStore(tmp_path)
    installation = Installation(store)
    assert seen() != before
    installation.remove()
    store.close()
    assert seen() == before


@pytest.mark.parametrize("service", ["glue", "athena", "no-such-service"])
def test_services_that_are_not_motos_are_not_saved(tmp_path: Path, service: str) -> None:
    kept = MotoState(tmp_path)
    kept.save(service)
    assert list(tmp_path.iterdir()) == []
