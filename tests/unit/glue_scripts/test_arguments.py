"""The job's arguments: what Glue hands over, and what is refused before anything is read."""

from __future__ import annotations

import pytest

from trips.arguments import REASONS, Thresholds, parse
from trips.errors import LoadError
from trips.month import Month

GIVEN = {"--YEAR": "2024", "--MONTH": "1", "--service": "yellow", "--raw_uri": "s3://raw/f.parquet"}
GIVEN |= {"--cleaned_uri": "s3://cleaned/zone/"}


def argv(**changes):
    given = {**GIVEN, **{f"--{name}": value for name, value in changes.items()}}
    return [part for name, value in given.items() if value is not None for part in (name, value)]


def test_what_glue_gives():
    glues = ["--JOB_NAME", "clean", "--JOB_RUN_ID", "jr_0a1b", "--job-language", "python", "--lakehouse-run-key", "k"]
    arguments = parse([*argv(report_uri="s3://reports/r.json"), *glues])
    assert (arguments.month, arguments.run_id) == (Month(2024, 1), "jr_0a1b")
    assert arguments.partition == "service=yellow/year=2024/month=01"
    assert arguments.cleaned_uri == "s3://cleaned/zone"
    assert arguments.report_uri == "s3://reports/r.json"
    assert arguments.thresholds == Thresholds()


def test_without_a_run_id_every_run_has_one_of_its_own():
    assert len({parse(argv()).run_id for _ in range(2)}) == 2


def test_a_run_id_is_fit_for_a_file_name():
    assert parse(argv(JOB_RUN_ID="a/../b c")).run_id == "a____b_c"


def test_thresholds_and_both_spellings():
    arguments = parse([*argv(MONTH="01", rules_off="duplicate, uncastable", max_total="99.5"), "--min-kept", "0.5"])
    assert arguments.thresholds == Thresholds(min_kept=0.5, max_total=99.5, off=("duplicate", "uncastable"))
    assert parse(argv(allow_empty="True")).allow_empty


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"MONTH": "13"}, "--MONTH: it is '13', and must be a whole number from 1 to 12"),
        ({"MONTH": "0"}, "--MONTH: it is '0'"),
        ({"MONTH": "１"}, "--MONTH"),
        ({"YEAR": "24"}, "--YEAR: it is '24', and must be a whole number from 2009 to 2099"),
        ({"YEAR": None}, "the following arguments are required: --YEAR"),
        ({"service": "blue"}, "--service: invalid choice: 'blue'"),
        ({"raw_uri": "/tmp/f.parquet"}, "--raw_uri: it is '/tmp/f.parquet', and must be an S3 URI such as s3://bucket"),
        ({"cleaned_uri": "cleaned"}, "--cleaned_uri: it is 'cleaned'"),
        ({"min_kept": "98"}, "--min_kept: it is '98', and must be a number from 0 to 1"),
        ({"min_kept": "nan"}, "--min_kept: it is 'nan'"),
        ({"max_hours": "-1"}, "--max_hours"),
        ({"rules_off": "dup"}, f"'dup' is not a reason; allowed: {', '.join(REASONS)}"),
        ({"allow_empty": "yes"}, "--allow_empty: it is 'yes', and must be true or false"),
        ({"min_keep": "0.5"}, "--min_keep is not an argument; did you mean --min_kept?"),
    ],
)
def test_bad_arguments_are_refused_by_name(changes, sentence):
    with pytest.raises(LoadError) as refused:
        parse(argv(**changes))
    assert str(refused.value).startswith("the job's arguments cannot be used: ")
    assert sentence in str(refused.value)
