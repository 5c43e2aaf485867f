"""Tags of Glue's resources, stored and deleted with them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")

from lakehouse_local.glue.tags import Tags
from lakehouse_local.http.wire import Caller

CALLER = Caller()


@pytest.mark.parametrize(
    ("create", "request_", "delete", "arn"),
    [
        ("CreateJob", {"Name": "J"}, ("DeleteJob", {"JobName": "J"}), "job/J"),
        ("CreateCrawler", {"Name": "c"}, ("DeleteCrawler", {"Name": "c"}), "crawler/c"),
        ("CreateDatabase", {"DatabaseInput": {"Name": "DB"}}, ("DeleteDatabase", {"Name": "Db"}), "database/db"),
    ],
)
def test_tags_come_and_go_with_their_resource(
    tmp_path: Path, create: str, request_: dict, delete: tuple[str, dict], arn: str
) -> None:
    tags = Tags(tmp_path / "tags.sqlite")
    resource = f"arn:aws:glue:us-east-1:123456789012:{arn}"
    tags.follow(create, request_, CALLER)
    assert tags.get(resource) == {}
    tags.follow(create, {**request_, "Tags": {"team": "data"}}, CALLER)
    tags.follow("GetJob", {"JobName": "J"}, CALLER)
    tags.close()
    again = Tags(tmp_path / "tags.sqlite")
    assert again.get(resource) == {"team": "data"}
    again.follow(*delete, CALLER)
    assert again.get(resource) == {}
    again.close()
