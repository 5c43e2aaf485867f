"""The options that are refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse_local.errors import OptionError, RootNotWritable, StateError
from lakehouse_local.lock import RootLock
from lakehouse_local.options import check_account, check_port, check_region
from lakehouse_local.root_version import check_version


@pytest.mark.parametrize("port", ["-1", "65536", "x", "", "1.5", "٣"])
def test_what_is_no_port(port: str) -> None:
    with pytest.raises(OptionError, match=r"--port must be a number from 0 \(any free port\) to 65535"):
        check_port("--port", port)


@pytest.mark.parametrize("account", ["12345678901", "1234567890123", "12345678901x", "", "١٢٣٤٥٦٧٨٩٠١٢"])
def test_what_is_no_account(account: str) -> None:
    with pytest.raises(OptionError, match=f"--account must be twelve digits, as 123456789012, not '{account}'"):
        check_account("--account", account)


@pytest.mark.parametrize("region", ["us-east-9", "", "US-EAST-1", "aws-global", "cn-north-1"])
def test_what_is_no_region(region: str) -> None:
    with pytest.raises(OptionError, match=f"--region must be a region of AWS, not '{region}': one of .*eu-central-1"):
        check_region("--region", region)


def test_what_is_allowed() -> None:
    assert (check_port("--port", "0"), check_port("port", 65535)) == (0, 65535)
    assert check_account("--account", "000000000000") == "000000000000"
    assert check_region("--region", "ap-southeast-2") == "ap-southeast-2"


@pytest.mark.parametrize(
    ("layout", "made_by"), [(None, "an older"), ("0", "an older"), ("", "an older"), ("2", "a newer")]
)
def test_a_root_of_another_layout(tmp_path, layout, made_by) -> None:
    state = tmp_path / ".state"
    state.mkdir()
    (state / "catalog.sqlite").touch()
    if layout is not None:
        (state / "layout").write_text(layout)
    with pytest.raises(StateError, match=f"{tmp_path} was made by {made_by} version: start with a new --root"):
        check_version(tmp_path)


def test_a_root_of_this_layout_and_one_whose_first_start_was_cut_off(tmp_path) -> None:
    check_version(tmp_path / "new")
    check_version(tmp_path / "new")
    (tmp_path / "cut" / ".state").mkdir(parents=True)
    check_version(tmp_path / "cut")


@pytest.mark.parametrize("root", ["/proc/root", "/dev/null/root"])
def test_a_root_that_cannot_be_written(root: str) -> None:
    with pytest.raises(RootNotWritable, match=rf"the root {root} cannot be written \(.+\): choose another root"):
        RootLock(Path(root))
