"""The definition of a Glue job: defaults, bounds, and settings that exclude each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse_local.http.wire import AwsError
from lakehouse_local.s3.uri import split_s3_uri

Definition = dict[str, Any]

SPARK_COMMANDS = ("glueetl", "gluestreaming")
COMMANDS = (*SPARK_COMMANDS, "pythonshell")

# Data processing units of one worker.
WORKER_DPUS = {
    "Standard": 1.0,
    "G.025X": 0.25,
    "G.1X": 1.0,
    "G.2X": 2.0,
    "G.4X": 4.0,
    "G.8X": 8.0,
    "G.12X": 12.0,
    "G.16X": 16.0,
    "Z.2X": 2.0,
    "R.1X": 1.0,
    "R.2X": 2.0,
    "R.4X": 4.0,
    "R.8X": 8.0,
}

DEFAULT_GLUE_VERSION = "5.1"
_SHELL_CAPACITIES = (0.0625, 1.0)
_DEFAULT_CAPACITY = 10.0
_LONGEST_MINUTES = 7 * 24 * 60
_ARGUMENT_BYTES = 260 * 1024
CAPACITY_MEMBERS = ("MaxCapacity", "AllocatedCapacity", "WorkerType", "NumberOfWorkers")


def invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)


def completed(given: Mapping[str, Any]) -> Definition:
    """Return the definition that CreateJob or UpdateJob stores: the given members with AWS's defaults.

    ExecutionClass has no default, as on AWS.

    :raises AwsError: InvalidInputException
    """
    definition = {name: value for name, value in given.items() if value is not None}
    command = dict(definition.get("Command") or {})
    command_name = command.get("Name", "")
    if not definition.get("Role"):
        raise invalid("Role is required: the name or ARN of an IAM role.")
    if command_name not in COMMANDS:
        raise invalid(f"Command.Name must be one of {', '.join(COMMANDS)}, not {command_name!r}.")
    location = command.get("ScriptLocation", "")
    try:
        split_s3_uri(location)
    except ValueError:
        raise invalid(f"Command.ScriptLocation must be an s3:// URI, not {location!r}.") from None
    command.setdefault("PythonVersion", "3" if command_name in SPARK_COMMANDS else "3.9")
    definition["Command"] = command
    if command_name in SPARK_COMMANDS:
        definition.setdefault("GlueVersion", DEFAULT_GLUE_VERSION)
    definition.setdefault("JobMode", "SCRIPT")
    definition.setdefault("MaxRetries", 0)
    _bounded("MaxRetries", definition["MaxRetries"], 0, 10)
    concurrency = {"MaxConcurrentRuns": 1, **(definition.get("ExecutionProperty") or {})}
    if concurrency["MaxConcurrentRuns"] < 1:
        raise invalid(f"MaxConcurrentRuns must be at least 1, not {concurrency['MaxConcurrentRuns']}.")
    definition["ExecutionProperty"] = concurrency
    definition.setdefault("Timeout", default_timeout(definition))
    check_timeout(definition["Timeout"])
    check_execution_class(definition)
    definition.update(capacity(definition, definition))
    for name in ("DefaultArguments", "NonOverridableArguments"):
        check_arguments(name, definition.get(name) or {})
    return definition


def capacity(definition: Mapping[str, Any], given: Mapping[str, Any]) -> Definition:
    """Return MaxCapacity, AllocatedCapacity, WorkerType and NumberOfWorkers of a job, or of a run that sets its own.

    :param definition: the job
    :param given: the job's or StartJobRun's own settings
    :raises AwsError: InvalidInputException for settings out of bounds or that exclude each other
    """
    workers, worker_type = given.get("NumberOfWorkers"), given.get("WorkerType")
    units = given.get("MaxCapacity", given.get("AllocatedCapacity"))
    if definition["Command"]["Name"] == "pythonshell":
        if workers is not None or worker_type is not None:
            raise invalid("Python shell jobs have no WorkerType and NumberOfWorkers: set MaxCapacity to 0.0625 or 1.")
        units = _SHELL_CAPACITIES[0] if units is None else float(units)
        if units not in _SHELL_CAPACITIES:
            raise invalid(f"MaxCapacity of a Python shell job must be 0.0625 or 1, not {units:g}.")
        return _units(units)
    if workers is None and worker_type is None:
        units = _DEFAULT_CAPACITY if units is None else float(units)
        if not 2 <= units <= 1000:
            raise invalid(f"MaxCapacity must be from 2 to 1000 DPUs, not {units:g}.")
        return _units(units)
    if given.get("MaxCapacity") is not None:
        raise invalid("Please do not set Max Capacity if using Worker Type and Number of Workers.")
    if workers is None or worker_type is None:
        raise invalid("Please set both Worker Type and Number of Workers.")
    _bounded("NumberOfWorkers", workers, 2, 299)
    return {"WorkerType": worker_type, "NumberOfWorkers": workers, **_units(workers * WORKER_DPUS[worker_type])}


def default_timeout(definition: Mapping[str, Any]) -> int:
    """Return the timeout in minutes: 480 from Glue 5.0 on, 2,880 before and for Python shell jobs."""
    return 480 if glue_version(definition) >= 5 else 2880


def glue_version(definition: Mapping[str, Any]) -> float:
    try:
        return float(definition.get("GlueVersion", "0"))
    except ValueError:
        raise invalid(
            f"GlueVersion {definition.get('GlueVersion')!r} is not a version of AWS Glue, "
            f"as {DEFAULT_GLUE_VERSION} is one."
        ) from None


def check_timeout(minutes: int) -> None:
    if not 1 <= minutes < _LONGEST_MINUTES:
        raise invalid(f"Timeout must be from 1 to {_LONGEST_MINUTES - 1} minutes (under 7 days), not {minutes}.")


def check_execution_class(definition: Mapping[str, Any]) -> None:
    if definition.get("ExecutionClass") != "FLEX":
        return
    if definition["Command"]["Name"] != "glueetl" or glue_version(definition) < 3:
        raise invalid("ExecutionClass FLEX needs a glueetl job of Glue version 3.0 or later.")


def check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    size = 0
    for key, value in arguments.items():
        if not isinstance(value, str):
            raise invalid(f"{name} must have text values: {key} is {value!r}.")
        size += len(key.encode()) + len(value.encode())
    if size > _ARGUMENT_BYTES:
        raise invalid(f"{name} have {size:,} bytes in all; AWS Glue accepts at most {_ARGUMENT_BYTES:,}.")


def _units(units: float) -> Definition:
    return {"MaxCapacity": units, "AllocatedCapacity": int(units)}


def _bounded(name: str, value: int, first: int, last: int) -> None:
    if not first <= value <= last:
        raise invalid(f"{name} must be from {first} to {last}, not {value}.")
