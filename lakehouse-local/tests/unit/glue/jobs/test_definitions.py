"""Definitions of jobs: defaults, and settings that Glue refuses."""

from __future__ import annotations

import pytest

from lakehouse_local.glue.jobs import definitions
from lakehouse_local.http.wire import AwsError

ETL = {"Name": "j", "Role": "r", "Command": {"Name": "glueetl", "ScriptLocation": "s3://code/a.py"}}
SHELL = {"Name": "j", "Role": "r", "Command": {"Name": "pythonshell", "ScriptLocation": "s3://code/a.py"}}


def test_defaults():
    job = definitions.completed(ETL)
    assert job["GlueVersion"] == "5.1"
    assert job["Timeout"] == 480
    assert job["MaxRetries"] == 0
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert job["MaxCapacity"] == 10
    assert "ExecutionClass" not in job  # or Terraform's plan is never empty


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({**ETL, "WorkerType": "G.2X", "NumberOfWorkers": 3}, {"MaxCapacity": 6.0, "NumberOfWorkers": 3}),
        ({**ETL, "WorkerType": "G.025X", "NumberOfWorkers": 2}, {"MaxCapacity": 0.5}),
        ({**ETL, "MaxCapacity": 4.0}, {"MaxCapacity": 4.0, "AllocatedCapacity": 4}),
        ({**ETL, "AllocatedCapacity": 5}, {"MaxCapacity": 5.0}),
        ({**ETL, "GlueVersion": "4.0"}, {"Timeout": 2880}),
        ({**ETL, "ExecutionClass": "FLEX"}, {"ExecutionClass": "FLEX"}),
        (SHELL, {"MaxCapacity": 0.0625, "Timeout": 2880}),
        ({**SHELL, "MaxCapacity": 1.0}, {"MaxCapacity": 1.0}),
    ],
)
def test_settings(given, expected):
    job = definitions.completed(given)
    assert {name: job[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Role": ""}, "Role is required"),
        ({"Command": {"Name": "gluestuff", "ScriptLocation": "s3://a/b"}}, "Command.Name must be one of glueetl"),
        ({"Command": {"Name": "glueray", "ScriptLocation": "s3://a/b"}}, "not 'glueray'"),
        ({"Command": {"Name": "glueetl"}}, "ScriptLocation must be an s3:// URI"),
        ({"Command": {"Name": "glueetl", "ScriptLocation": "/tmp/a.py"}}, "not '/tmp/a.py'"),
        ({"MaxCapacity": 2.0, "WorkerType": "G.1X", "NumberOfWorkers": 2}, "do not set Max Capacity"),
        ({"WorkerType": "G.1X"}, "both Worker Type and Number of Workers"),
        ({"NumberOfWorkers": 4}, "both Worker Type and Number of Workers"),
        ({"WorkerType": "G.1X", "NumberOfWorkers": 1}, "from 2 to 299, not 1"),
        ({"MaxCapacity": 1.0}, "from 2 to 1000"),
        ({"Timeout": 10080}, "under 7 days"),
        ({"MaxRetries": 11}, "MaxRetries must be from 0 to 10"),
        ({"ExecutionProperty": {"MaxConcurrentRuns": 0}}, "MaxConcurrentRuns must be at least 1"),
        ({"ExecutionClass": "FLEX", "GlueVersion": "2.0"}, "FLEX needs"),
        ({"GlueVersion": "five"}, "GlueVersion 'five'"),
        ({"DefaultArguments": {"--x": "y" * 270_000}}, "at most 266,240"),
        ({"DefaultArguments": {"--x": 1}}, "--x is 1"),
    ],
)
def test_refused(change, message):
    with pytest.raises(AwsError, match=message) as refused:
        definitions.completed({**ETL, **change})
    assert refused.value.code == "InvalidInputException"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MaxCapacity": 0.5}, "0.0625 or 1, not 0.5"),
        ({"WorkerType": "G.1X", "NumberOfWorkers": 2}, "Python shell jobs have no WorkerType"),
        ({"ExecutionClass": "FLEX"}, "FLEX needs a glueetl job"),
    ],
)
def test_refused_for_a_python_shell(change, message):
    with pytest.raises(AwsError, match=message):
        definitions.completed({**SHELL, **change})
