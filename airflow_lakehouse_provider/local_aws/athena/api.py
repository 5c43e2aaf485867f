"""Amazon Athena's API: what is asked is checked as AWS checks it, then handed to executions and settings.

Source: https://docs.aws.amazon.com/athena/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.local_aws.athena.executions import ACTIVE, Executions, new_id
from airflow_lakehouse_provider.local_aws.athena.results import PAGE
from airflow_lakehouse_provider.local_aws.athena.settings import CATALOG, ENGINE, PRIMARY, Settings
from airflow_lakehouse_provider.local_aws.athena.sql import SqlError, warm
from airflow_lakehouse_provider.local_aws.athena.statements import Statement, accept
from airflow_lakehouse_provider.local_aws.athena.tokens import Reader
from airflow_lakehouse_provider.local_aws.catalog import Catalog
from airflow_lakehouse_provider.local_aws.glue.documents import Documents
from airflow_lakehouse_provider.local_aws.s3 import ObjectStore, split_uri
from airflow_lakehouse_provider.local_aws.wire import AwsError, Caller, page

Doc = dict[str, Any]
LONGEST = 262_144  # bytes of a statement
_MOST_AT_ONCE = 50  # of the Batch operations


class Athena:
    """The service; its state is under ``state_dir``."""

    target = "AmazonAthena"

    def __init__(self, state_dir: Path, store: ObjectStore, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog
        self._documents = Documents(state_dir / "athena.sqlite")
        self._settings = Settings(self._documents)
        self._executions = Executions(state_dir, store, catalog, self._documents)
        self._starting = threading.Lock()
        self.operations = {
            **self._settings.operations,
            "StartQueryExecution": self.start,
            "GetQueryExecution": self.get,
            "BatchGetQueryExecution": self.batch_get,
            "StopQueryExecution": self.stop,
            "ListQueryExecutions": self.list_executions,
            "GetQueryResults": self.results,
            "GetQueryRuntimeStatistics": self.runtime,
            "GetDataCatalog": self.get_data_catalog,
            "ListDataCatalogs": self.list_data_catalogs,
            "GetDatabase": self.get_database,
            "ListDatabases": self.list_databases,
            "GetTableMetadata": self.get_table,
            "ListTableMetadata": self.list_tables,
        }
        # The parser's tables take a third of a second to build: not while the first query waits.
        threading.Thread(target=warm, name="athena-warm", daemon=True).start()

    def close(self) -> None:
        self._executions.close()
        self._documents.close()

    # Query executions

    def start(self, request: Doc, caller: Caller) -> Doc:
        text = request["QueryString"]
        if len(text.encode()) > LONGEST:
            raise _invalid(f"Query string is longer than {LONGEST} bytes")
        group = self._settings.work_group(request.get("WorkGroup", PRIMARY))
        if group["State"] != "ENABLED":
            raise _invalid(f"WorkGroup {group['Name']} is disabled.")
        if (catalog := request.get("QueryExecutionContext", {}).get("Catalog", CATALOG)).lower() != CATALOG.lower():
            raise _invalid(f"Catalog {catalog} is not found: this local AWS has {CATALOG}")
        output, enforced = self._output(request, group)
        token = request.get("ClientRequestToken")
        with self._starting:
            if token and (before := self._documents.get("token", token)) is not None:
                if before["QueryString"] != text:
                    raise _invalid("Idempotent parameters do not match")
                return {"QueryExecutionId": before["QueryExecutionId"]}
            statement = self._accepted(text, request.get("ExecutionParameters", ()), group["Name"])
            execution_id = new_id()
            if token:
                self._documents.put("token", token, {"QueryExecutionId": execution_id, "QueryString": text})
        extension = "csv" if statement.kind == "DML" else "txt"
        execution = {
            "QueryExecutionId": execution_id,
            "Query": text,
            "StatementType": statement.kind,
            "SubstatementType": statement.subkind,
            "ResultConfiguration": {
                **request.get("ResultConfiguration", {}), "OutputLocation": f"{output}{execution_id}.{extension}",
            },
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
            "QueryExecutionContext": request.get("QueryExecutionContext", {}),
            "Status": {"State": "QUEUED", "SubmissionDateTime": round(time.time(), 3)},
            "Statistics": {},
            "WorkGroup": group["Name"],
            "EngineVersion": ENGINE,
        }  # fmt: skip
        if parameters := request.get("ExecutionParameters"):
            execution["ExecutionParameters"] = parameters
        database = request.get("QueryExecutionContext", {}).get("Database", "default").lower()
        self._executions.start(statement, execution, database=database, enforced=enforced)
        return {"QueryExecutionId": execution_id}

    def _output(self, request: Doc, group: Doc) -> tuple[str, bool]:
        """Where results go, with a slash at the end, and whether the work group has the say."""
        configuration = group["Configuration"]
        of_group = configuration.get("ResultConfiguration", {}).get("OutputLocation")
        enforced = bool(configuration.get("EnforceWorkGroupConfiguration") and of_group)
        output = of_group if enforced else request.get("ResultConfiguration", {}).get("OutputLocation") or of_group
        if not output:
            raise _invalid(
                "No output location provided. An output location is required either through the Workgroup result "
                "configuration setting or as an API input."
            )
        try:
            bucket, _ = split_uri(output)
        except ValueError:
            raise _invalid(f"outputLocation is not a valid S3 path. provided: {output}") from None
        if not self._store.bucket_exists(bucket):
            raise _invalid(f"Unable to verify/create output bucket {bucket}. Make sure the output location exists.")
        return output if output.endswith("/") else f"{output}/", enforced

    def _accepted(self, text: str, parameters: Sequence[str], group: str) -> Statement:
        try:
            reader = Reader(text)
            if reader.take("EXECUTE"):
                name = reader.pop().value
                used = _split(reader.rest()) if reader.take("USING") else []
                prepared = self._settings.prepared(name, group)
                return accept(prepared["QueryStatement"], [*used, *parameters])
            if reader.take("PREPARE"):
                return self._prepare(reader, text, group)
            return accept(text, parameters)
        except SqlError as error:
            raise AwsError(
                "InvalidRequestException", error.message, AthenaErrorCode="MALFORMED_QUERY"
            ) from None

    def _prepare(self, reader: Reader, text: str, group: str) -> Statement:
        name = reader.identifier()
        reader.need("FROM")
        body = reader.rest()
        accept(body)
        self._settings.put_prepared(name, group, body)
        return Statement(text, "DDL", "PREPARE", own=lambda _, __: _nothing())

    def get(self, request: Doc, caller: Caller) -> Doc:
        return {"QueryExecution": _shown(self._executions.wait(request["QueryExecutionId"]))}

    def batch_get(self, request: Doc, caller: Caller) -> Doc:
        ids = request["QueryExecutionIds"]
        if len(ids) > _MOST_AT_ONCE:
            raise _invalid(f"queryExecutionIds has {len(ids)} entries: {_MOST_AT_ONCE} are allowed")
        found, missing = [], []
        for query_id in ids:
            try:
                found.append(_shown(self._executions.get(query_id)))
            except AwsError as error:
                missing.append(
                    {"QueryExecutionId": query_id, "ErrorCode": "INVALID_QUERY_EXECUTION_ID", "ErrorMessage": error.message}
                )
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    def stop(self, request: Doc, caller: Caller) -> Doc:
        self._executions.stop(request["QueryExecutionId"])
        return {}

    def list_executions(self, request: Doc, caller: Caller) -> Doc:
        group = self._settings.work_group(request.get("WorkGroup", PRIMARY))["Name"]
        found, token = page(self._executions.list(group), request, limit=50)
        return {"QueryExecutionIds": found, **token}

    def results(self, request: Doc, caller: Caller) -> Doc:
        execution = self._executions.get(request["QueryExecutionId"])
        state = execution["Status"]["State"]
        if state != "SUCCEEDED":
            said = "has not yet finished" if state in ACTIVE else f"did not finish successfully. Final query state: {state}"
            raise _invalid(f"Query {said}. Current state: {state}" if state in ACTIVE else f"Query {said}")
        limit = min(request.get("MaxResults", PAGE), PAGE)
        columns, rows, token = self._executions.page(execution, request.get("NextToken"), limit)
        answer: Doc = {
            "UpdateCount": execution.get("UpdateCount", 0),
            "ResultSet": {
                "Rows": [{"Data": [{} if v is None else {"VarCharValue": v} for v in row]} for row in rows],
                "ResultSetMetadata": {"ColumnInfo": columns},
            },
        }
        return answer | ({"NextToken": token} if token else {})

    def runtime(self, request: Doc, caller: Caller) -> Doc:
        execution = self._executions.get(request["QueryExecutionId"])
        statistics = execution["Statistics"]
        return {
            "QueryRuntimeStatistics": {
                "Timeline": {
                    name: statistics.get(name, 0)
                    for name in ("QueryQueueTimeInMillis", "EngineExecutionTimeInMillis", "TotalExecutionTimeInMillis")
                },
                "Rows": {"InputBytes": statistics.get("DataScannedInBytes", 0)},
            }
        }

    # Data catalogs, databases, tables

    def get_data_catalog(self, request: Doc, caller: Caller) -> Doc:
        self._require_catalog(request["Name"])
        return {"DataCatalog": {"Name": CATALOG, "Type": "GLUE", "Parameters": {"catalog-id": caller.account_id}}}

    def list_data_catalogs(self, request: Doc, caller: Caller) -> Doc:
        return {"DataCatalogsSummary": [{"CatalogName": CATALOG, "Type": "GLUE"}]}

    def get_database(self, request: Doc, caller: Caller) -> Doc:
        self._require_catalog(request["CatalogName"])
        return {"Database": _database(_metadata(lambda: self._catalog.get_database(request["DatabaseName"])))}

    def list_databases(self, request: Doc, caller: Caller) -> Doc:
        self._require_catalog(request["CatalogName"])
        found, token = page(self._catalog.get_databases(), request, limit=50)
        return {"DatabaseList": [_database(each) for each in found], **token}

    def get_table(self, request: Doc, caller: Caller) -> Doc:
        self._require_catalog(request["CatalogName"])
        names = (request["DatabaseName"], request["TableName"])
        return {"TableMetadata": _table(_metadata(lambda: self._catalog.get_table(*names)))}

    def list_tables(self, request: Doc, caller: Caller) -> Doc:
        self._require_catalog(request["CatalogName"])
        tables = _metadata(lambda: self._catalog.get_tables(request["DatabaseName"]))
        if pattern := request.get("Expression"):
            tables = [each for each in tables if re.fullmatch(pattern.replace("*", ".*"), each["Name"])]
        found, token = page(tables, request, limit=50)
        return {"TableMetadataList": [_table(each) for each in found], **token}

    def _require_catalog(self, name: str) -> None:
        if name.lower() != CATALOG.lower():
            raise _invalid(f"Data catalog {name} was not found")


def _nothing() -> Any:
    from airflow_lakehouse_provider.local_aws.athena.outcome import Outcome

    return Outcome("DDL", "PREPARE")


def _split(values: str) -> list[str]:
    """The parameters after USING: SQL literals between commas."""
    from airflow_lakehouse_provider.local_aws.athena.tokens import tokens

    parts, depth, start = [], 0, 0
    for token in tokens(values):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            parts.append(values[start : token.start].strip())
            start = token.end
    return [*parts, values[start:].strip()]


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message, AthenaErrorCode="INVALID_INPUT")


def _shown(execution: Doc) -> Doc:
    return {name: value for name, value in execution.items() if name != "UpdateCount"}


def _metadata(find: Any) -> Any:
    try:
        return find()
    except AwsError as error:
        raise AwsError("MetadataException", f"{error.code}: {error.message}") from None


def _database(database: Doc) -> Doc:
    members = ("Name", "Description", "Parameters")
    return {name: database[name] for name in members if name in database}


def _table(table: Doc) -> Doc:
    shown = {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "TableType": table.get("TableType", ""),
        "Columns": _columns(table.get("StorageDescriptor", {}).get("Columns", [])),
        "PartitionKeys": _columns(table.get("PartitionKeys", [])),
        "Parameters": table.get("Parameters", {}),
    }
    return shown


def _columns(columns: Sequence[Doc]) -> list[Doc]:
    return [{name: each[name] for name in ("Name", "Type", "Comment") if name in each} for each in columns]
