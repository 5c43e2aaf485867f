"""The accesses that Glue's and Athena's operations need.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsglue.html,
https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html (a table's operation needs its database
and the catalogue too), https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lakehouse_local.iam.access import Access, ApiCall, request_tags
from lakehouse_local.iam.account import Account

# The parameter that names the resource of each kind of operation.
_JOBS = {
    "CreateJob": "Name", "UpdateJob": "JobName", "GetJob": "JobName", "DeleteJob": "JobName", "StartJobRun": "JobName",
    "GetJobRun": "JobName", "GetJobRuns": "JobName", "BatchStopJobRun": "JobName", "GetJobBookmark": "JobName",
    "ResetJobBookmark": "JobName", "BatchGetJobs": "JobNames",
}  # fmt: skip
_CRAWLERS = {
    "CreateCrawler": "Name", "UpdateCrawler": "Name", "GetCrawler": "Name", "DeleteCrawler": "Name",
    "StartCrawler": "Name", "StopCrawler": "Name", "ListCrawls": "CrawlerName",
    "GetCrawlerMetrics": "CrawlerNameList", "BatchGetCrawlers": "CrawlerNames",
}  # fmt: skip
# Athena's operations on a query execution belong to its work group.
_ON_QUERY = (
    "GetQueryExecution", "GetQueryResults", "GetQueryResultsStream", "StopQueryExecution", "GetQueryRuntimeStatistics",
)  # fmt: skip
_ON_EVERYTHING = ("ListWorkGroups", "ListDataCatalogs", "ListEngineVersions")
_DATA_CATALOGS = {
    "GetDataCatalog": "Name", "CreateDataCatalog": "Name", "UpdateDataCatalog": "Name", "DeleteDataCatalog": "Name",
    "GetDatabase": "CatalogName", "ListDatabases": "CatalogName", "GetTableMetadata": "CatalogName",
    "ListTableMetadata": "CatalogName",
}  # fmt: skip


def glue_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of Glue."""
    action, given = f"glue:{call.operation}", call.parameters
    for type_, parameters in (("job", _JOBS), ("crawler", _CRAWLERS)):
        if call.operation in parameters:
            named = given.get(parameters[call.operation])
            if named is None or named == []:
                return [Access(action, "*")]
            needed = [Access(action, account.arn("glue", f"{type_}/{name}"), _tags(given)) for name in _as_list(named)]
            return needed + _passed_role(given.get("JobUpdate") or given, account)
    if call.operation in ("GetTags", "TagResource", "UntagResource"):
        return [Access(action, str(given.get("ResourceArn", "*")))]
    return [Access(action, arn) for arn in _catalog_arns(call, account)] or [Access(action, "*")]


def _catalog_arns(call: ApiCall, account: Account) -> list[str]:
    """Return the ARNs of the catalogue, database and tables of a Data Catalog operation; none for another operation."""
    given, operation = call.parameters, call.operation
    table = given.get("TableName") or (given.get("TableInput") or {}).get("Name")
    database = given.get("DatabaseName")
    if "Database" in operation:
        database = given.get("Name") or (given.get("DatabaseInput") or {}).get("Name")
        if operation == "GetDatabases":
            return [account.arn("glue", "catalog")]
        return _arns(account, database or "*", [f"{database}/*"] if operation == "DeleteDatabase" else [])
    if database is None or not any(word in operation for word in ("Table", "Partition", "ColumnStatistics")):
        return []
    if "Partition" not in operation and operation != "CreateTable":
        table = table or given.get("Name")
    tables = [f"{database}/{name}" for name in given.get("TablesToDelete") or [table or "*"]]
    return _arns(account, database, tables)


def _arns(account: Account, database: str, tables: Iterable[str]) -> list[str]:
    places = ["catalog", f"database/{database}", *(f"table/{table}" for table in tables)]
    return [account.arn("glue", place) for place in places]


def _passed_role(given: Mapping[str, Any], account: Account) -> list[Access]:
    role = given.get("Role")
    if not role:
        return []
    return [Access("iam:PassRole", account.role_arn(str(role)), {"iam:passedtoservice": ("glue.amazonaws.com",)})]


def _tags(given: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return request_tags(given.get("Tags") or {}) if isinstance(given.get("Tags"), dict) else {}


def _as_list(named: Any) -> list[str]:
    return [str(each) for each in named] if isinstance(named, list) else [str(named)]


def athena_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of Athena."""
    action, given = f"athena:{call.operation}", call.parameters
    if call.operation in _DATA_CATALOGS:
        name = given.get(_DATA_CATALOGS[call.operation]) or "AwsDataCatalog"
        return [Access(action, account.arn("athena", f"datacatalog/{name}"))]
    if call.operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        return [Access(action, str(given.get("ResourceARN", "*")))]
    if call.operation in _ON_EVERYTHING:
        return [Access(action, "*")]
    groups = {str(given.get("WorkGroup") or "primary")}
    if call.operation in _ON_QUERY:
        groups = {account.work_group_of_query(str(given.get("QueryExecutionId", ""))) or "*"}
    elif call.operation == "BatchGetQueryExecution":
        groups = {account.work_group_of_query(str(each)) or "*" for each in given.get("QueryExecutionIds") or ()}
    elif call.operation == "CreateWorkGroup":
        groups = {str(given.get("Name", "*"))}
    return [Access(action, account.arn("athena", f"workgroup/{group}")) for group in sorted(groups)]
