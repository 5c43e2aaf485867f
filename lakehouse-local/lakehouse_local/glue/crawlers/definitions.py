"""The definition of a Glue crawler: targets, policies, the Configuration document, the schedule."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lakehouse_local.glue.crawlers.globs import glob
from lakehouse_local.http.wire import AwsError
from lakehouse_local.s3.uri import split_s3_uri

Definition = dict[str, Any]

_MEMBERS = (
    "Name", "Role", "DatabaseName", "Description", "Targets", "Classifiers", "TablePrefix", "SchemaChangePolicy",
    "RecrawlPolicy", "LineageConfiguration", "LakeFormationConfiguration", "Configuration",
    "CrawlerSecurityConfiguration", "Tags",
)  # fmt: skip
# Members that GetCrawler adds and an update leaves unchanged.
_STATE = ("State", "CrawlElapsedTime", "CreationTime", "LastUpdated", "LastCrawl", "Version")

# Path in Configuration -> values allowed there
_CONFIGURATION = {
    ("CrawlerOutput", "Partitions", "AddOrUpdateBehavior"): ("InheritFromTable",),
    ("CrawlerOutput", "Tables", "AddOrUpdateBehavior"): ("MergeNewColumns",),
    ("Grouping", "TableGroupingPolicy"): ("CombineCompatibleSchemas",),
}


def completed(given: Mapping[str, Any]) -> Definition:
    """Return the definition that CreateCrawler or UpdateCrawler stores: the given members with AWS's defaults.

    :raises AwsError: InvalidInputException
    """
    definition = {name: given[name] for name in (*_MEMBERS, *_STATE) if given.get(name) is not None}
    if not definition.get("Role"):
        raise _invalid("Role is required: the name or ARN of an IAM role.")
    if not definition.get("DatabaseName"):
        raise _invalid("DatabaseName is required: the database of the Data Catalog to write to.")
    definition["Targets"] = _targets(definition.get("Targets") or {})
    schema = {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DEPRECATE_IN_DATABASE"}
    definition["SchemaChangePolicy"] = {**schema, **(definition.get("SchemaChangePolicy") or {})}
    definition["RecrawlPolicy"] = {"RecrawlBehavior": "CRAWL_EVERYTHING", **(definition.get("RecrawlPolicy") or {})}
    definition.setdefault("LineageConfiguration", {"CrawlerLineageSettings": "DISABLE"})
    definition.setdefault("Classifiers", [])
    _check_recrawl(definition)
    configuration(definition)
    if schedule := given.get("Schedule"):
        expression = schedule if isinstance(schedule, str) else schedule["ScheduleExpression"]
        if not re.fullmatch(r"cron\(\S+( \S+){5}\)", expression):
            raise _invalid(f"Schedule must be cron(minute hour day month weekday year), not {expression!r}.")
        definition["Schedule"] = {"ScheduleExpression": expression, "State": "SCHEDULED"}
    return definition


def configuration(crawler: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Configuration document of a crawler; an empty one if it has none.

    :raises AwsError: InvalidInputException
    """
    text = crawler.get("Configuration")
    if not text:
        return {}
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _invalid(f"Configuration is not valid JSON: {error}.") from None
    if not isinstance(document, dict) or document.get("Version") not in (1, 1.0, "1.0"):
        raise _invalid('Configuration must be a JSON object with "Version": 1.0.')
    for path, allowed in _CONFIGURATION.items():
        value: Any = document
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None and value not in allowed:
            raise _invalid(f"Configuration's {'.'.join(path)} must be {' or '.join(allowed)}, not {value!r}.")
    return document


def _targets(targets: Mapping[str, Any]) -> dict[str, Any]:
    others = [name for name, given in targets.items() if given and name != "S3Targets"]
    if others:
        raise _invalid(f"Targets has {', '.join(others)}, not supported by the local AWS: it crawls S3Targets only.")
    s3 = targets.get("S3Targets") or []
    if not s3:
        raise _invalid("At least one target is required: Targets.S3Targets.")
    for target in s3:
        path = target.get("Path") or ""
        wrong_path = _invalid(f"An S3 target's Path must be s3://bucket/folder, not {path!r}.")
        if not path.startswith("s3://"):  # unlike a script's location it cannot be s3a://
            raise wrong_path
        try:
            split_s3_uri(path)
        except ValueError:
            raise wrong_path from None
        if (size := target.get("SampleSize")) is not None and not 1 <= size <= 249:
            raise _invalid(f"SampleSize must be from 1 to 249, not {size}.")
        for pattern in target.get("Exclusions") or ():
            glob(pattern)
    return {"S3Targets": [{"Exclusions": [], **target} for target in s3]}


def _check_recrawl(definition: Mapping[str, Any]) -> None:
    behaviour = definition["RecrawlPolicy"]["RecrawlBehavior"]
    if behaviour == "CRAWL_EVENT_MODE":
        raise _invalid("RecrawlBehavior CRAWL_EVENT_MODE needs S3 events, which the local AWS does not send.")
    policy = definition["SchemaChangePolicy"]
    if behaviour == "CRAWL_NEW_FOLDERS_ONLY" and set(policy.values()) != {"LOG"}:
        raise _invalid(
            "RecrawlBehavior CRAWL_NEW_FOLDERS_ONLY needs UpdateBehavior LOG and DeleteBehavior LOG, "
            f"not {policy['UpdateBehavior']} and {policy['DeleteBehavior']}."
        )


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)
