"""dbt's command line, and what is refused before dbt is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_lakehouse_provider.dbt.commands import COMMANDS, DbtArguments
from airflow_lakehouse_provider.values import ArgumentError


def line(**arguments):
    made = DbtArguments.parse(**arguments).line(
        project=Path("/project"), profiles=Path("/p"), profile="airflow", target_path=Path("/t"), log_path=Path("/l")
    )
    return " ".join(made)


def test_a_whole_command_line():
    made = line(
        command="run",
        select=["stg_trips+", "tag:a tag:b"],
        exclude="dim_date",
        vars={"year": 2024, "month": "01"},
        full_refresh=True,
        threads="8",
        target="prod",
        flags=["--fail-fast"],
    )
    assert made.startswith("--log-format json --log-level debug --log-level-file none --no-use-colors ")
    assert " run --fail-fast --project-dir /project --profiles-dir /p --target-path /t --log-path /l " in made
    assert made.endswith(
        '--profile airflow --target prod --threads 8 --vars {"year": 2024, "month": "01"} '
        "--select stg_trips+ tag:a tag:b --exclude dim_date --full-refresh"
    )


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_a_line(command):
    flags = {"run-operation": ["my_macro"], "retry": ["--state", "/s"]}.get(command)
    assert f" {command} " in line(command=command, flags=flags)


def test_a_resumed_command_is_a_retry_which_knows_its_selection():
    made = DbtArguments.parse(
        command="build", select="a", full_refresh=True, threads=2, flags=["--fail-fast"], vars={"y": 1}
    )
    shown = made.line(
        **{"project": Path("/project"), "profiles": Path("/p"), "profile": "airflow"},
        **{"target_path": Path("/t"), "log_path": Path("/l"), "resume": Path("/state")},
    )
    assert " retry --state /state --project-dir /project " in " ".join(shown)
    assert not {"build", "--select", "--full-refresh", "--fail-fast"} & set(shown)
    assert {"--threads", "--vars"} <= set(shown)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("source  freshness", "source freshness"),
        (" docs generate ", "docs generate"),
    ],
)
def test_commands_of_two_words(given, expected):
    assert DbtArguments.parse(command=given).command == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"a": 1}, {"a": 1}), ('{"a": 1}', {"a": 1}), ("a: 1", {"a": 1}), (None, {}), ("", {})],
)
def test_vars_may_be_a_mapping_or_its_text(given, expected):
    assert DbtArguments.parse(command="run", vars=given).vars == expected


def test_vars_that_json_does_not_know_become_text():
    import datetime

    made = DbtArguments.parse(command="run", vars={"day": datetime.date(2024, 1, 31)})
    shown = made.line(project=Path("."), profiles=Path("."), profile=None, target_path=Path("."), log_path=Path("."))
    assert json.loads(shown[shown.index("--vars") + 1]) == {"day": "2024-01-31"}


@pytest.mark.parametrize("empty", [None, "", [], ()])
def test_nothing_selected_is_no_selector(empty):
    made = DbtArguments.parse(command="run", select=empty, selector="", target="", threads=None)
    assert (made.select, made.selector, made.target, made.selection) == ((), None, None, "no selector")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"command": "rum"}, "command is 'rum', which is none of run, test, build,"),
        ({"command": "rerun"}, "command is 'rerun', which is none of"),
        ({"command": None}, "command is None"),
        ({"command": "run", "select": 7}, "select must be text or a list of texts, not 7"),
        ({"command": "run", "select": ["a", 7]}, "select must be text or a list of texts, not"),
        ({"command": "run", "select": "--vars x"}, "a selector does not begin with '-'"),
        ({"command": "run", "select": "a", "selector": "nightly"}, "selector stands alone"),
        ({"command": "deps", "select": "a"}, "dbt deps takes no select"),
        ({"command": "test", "full_refresh": True}, "dbt test takes no full_refresh; these do: run, build, seed"),
        ({"command": "run", "full_refresh": "perhaps"}, "full_refresh must be true or false, not 'perhaps'"),
        ({"command": "run", "threads": 0}, "threads must be a whole number from 1 to 256, not 0"),
        ({"command": "run", "threads": "many"}, "threads must be a whole number from 1 to 256, not 'many'"),
        ({"command": "run", "vars": "a: [1"}, "vars must be a mapping or its JSON or YAML text"),
        ({"command": "run", "vars": ["a"]}, "vars must be a mapping of names to values"),
        ({"command": "run", "vars": "just text"}, "vars must be a mapping of names to values"),
        ({"command": "run", "target": "--prod"}, "target must be a name, not '--prod'"),
        ({"command": "run", "flags": "--fail-fast"}, "flags must be a list of dbt's options"),
        ({"command": "run", "flags": ["--threads=2"]}, "flags holds --threads, which the operator sets itself"),
        ({"command": "run", "flags": ["--target-path", "x", "-q"]}, "flags holds --target-path, -q"),
        ({"command": "run-operation"}, "dbt run-operation needs the macro's name"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ArgumentError) as refused:
        DbtArguments.parse(**arguments)
    assert message in str(refused.value)
