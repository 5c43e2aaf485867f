"""getResolvedOptions: AWS's rules for arguments. The package is imported by the name awsglue, as scripts do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lakehouse_local.glue as glue


@pytest.fixture(scope="module")
def utils(tmp_path_factory):
    library = tmp_path_factory.mktemp("lib")
    (library / "awsglue").symlink_to(Path(glue.__file__).parent / "awsglue")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(library))
        import awsglue.utils

        yield awsglue.utils
    for name in [name for name in sys.modules if name.split(".")[0] == "awsglue"]:
        del sys.modules[name]


def resolve(utils, arguments, *options):
    return utils.getResolvedOptions(["script.py", *arguments], list(options))


def test_values_by_name_and_those_that_glue_adds(utils):
    found = resolve(
        utils, ["--JOB_NAME", "clean", "--JOB_RUN_ID", "jr_1", "--YEAR", "2024", "--other", "x"], "JOB_NAME", "YEAR"
    )
    assert found["JOB_NAME"] == "clean"
    assert found["YEAR"] == "2024"
    assert found["JOB_RUN_ID"] == "jr_1"
    assert found["job_bookmark_option"] == "job-bookmark-disable"
    assert "other" not in found


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (["--YEAR=2024"], ["YEAR"], "2024"),
        (["--YEAR", "2023", "--YEAR", "2024"], ["YEAR"], "2024"),  # the last wins
        (["--YEA", "2024"], ["YEAR"], "2024"),  # an unambiguous prefix is accepted
        (["--YEAR", ""], ["YEAR"], ""),
        (["--unknown", "1", "--YEAR", "2024"], ["YEAR"], "2024"),
    ],
)
def test_a_value_by_argparses_rules(utils, arguments, options, expected):
    assert resolve(utils, arguments, *options)[options[0]] == expected


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([], ["YEAR"], "the following arguments are required: --YEAR"),
        (["--year", "2024"], ["YEAR"], "required: --YEAR"),  # names are case-sensitive
        (["--YEAR", "-1x"], ["YEAR"], "expected one argument"),  # a value that begins with a dash is an option
        (["--YE", "1"], ["YEAR", "YEARS"], "ambiguous option"),
        (["--job-bookmark-option", "on"], [], "invalid choice"),
    ],
)
def test_refused_arguments(utils, arguments, options, message):
    with pytest.raises(utils.GlueArgumentError, match=message):
        resolve(utils, arguments, *options)


@pytest.mark.parametrize(
    "name", ["job-bookmark-option", "JOB_RUN_ID", "JOB_ID", "encryption-type", "continuation-option"]
)
def test_reserved_names(utils, name):
    with pytest.raises(RuntimeError, match="Using reserved arguments"):
        resolve(utils, [], name)


@pytest.mark.parametrize(("given", "meant"), [("TempDir", "RedshiftTempDir"), ("RedshiftTempDir", "TempDir")])
def test_temporary_directories_stand_for_each_other(utils, given, meant):
    assert resolve(utils, [f"--{given}", "s3://b/t"], "TempDir")[meant] == "s3://b/t"


def test_bookmark_options(utils):
    option = "job_bookmark_option"
    assert resolve(utils, ["--job-bookmark-option", "job-bookmark-enable"])[option] == "job-bookmark-enable"
    assert resolve(utils, ["--continuation-option", "continuation-readonly"])[option] == "job-bookmark-pause"
    with pytest.raises(RuntimeError, match="--job-bookmark-to"):
        resolve(utils, ["--job-bookmark-option", "job-bookmark-pause", "--job-bookmark-from", "1"])
    with pytest.raises(RuntimeError, match="Invalid option"):
        resolve(utils, ["--job-bookmark-from", "1", "--job-bookmark-to", "2"])


def test_utils_and_job_need_no_spark(utils):
    library = Path(utils.__file__).parents[1]
    code = "import sys; import awsglue.utils, awsglue.job; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=library, check=False).returncode == 0
