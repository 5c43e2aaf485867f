"""Amazon Athena's API: each request is checked as AWS checks it, then handed to the part that carries it out.

Source: https://docs.aws.amazon.com/athena/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

from lakehouse_local.athena.data_catalogs import CATALOG, DataCatalogs
from lakehouse_local.athena.executions import ACTIVE, KIND, Executions
from lakehouse_local.athena.results.pages import PAGE
from lakehouse_local.athena.saved_statements import SavedStatements
from lakehouse_local.athena.sql import SqlError, warm
from lakehouse_local.athena.statements.prepared import accept_in_group
from lakehouse_local.athena.statements.statement import Statement
from lakehouse_local.athena.work_groups import ENGINE, PRIMARY, WorkGroups
from lakehouse_local.documents import Documents
from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.http.wire import AwsError, Caller, epoch, page
from lakehouse_local.iam.access import AccessDenied
from lakehouse_local.iam.guarded import guarded_store
from lakehouse_local.s3.store import ObjectStore
from lakehouse_local.s3.uri import split_s3_uri

Doc = dict[str, Any]
MAX_QUERY_BYTES = 262_144  # bytes of a statement, AWS's own limit
_MAX_IDS = 50  # ids of one BatchGetQueryExecution
_IDENTITY = ("QueryString", "QueryExecutionContext", "WorkGroup", "ResultConfiguration", "ExecutionParameters")


class Athena:
    """The service.

    :param state_dir: folder of its state: `athena.sqlite` and `athena/`, the rows of results
    """

    target = "AmazonAthena"

    def __init__(self, state_dir: Path, store: ObjectStore, catalog: Catalog) -> None:
        self._store = store
        self._documents = Documents(state_dir / "athena.sqlite")
        self._groups = WorkGroups(self._documents)
        self._saved = SavedStatements(self._documents, self._groups)
        self._executions = Executions(state_dir, store, catalog, self._documents)
        self._starting = threading.Lock()
        self.operations = {
            **self._groups.operations,
            **self._saved.operations,
            **DataCatalogs(catalog).operations,
            "StartQueryExecution": self.start,
            "GetQueryExecution": self.get,
            "BatchGetQueryExecution": self.batch_get,
            "StopQueryExecution": self.stop,
            "ListQueryExecutions": self.list_executions,
            "GetQueryResults": self.results,
            "GetQueryRuntimeStatistics": self.runtime,
        }
        # The parser's tables take a third of a second to build: they are ready before the first query needs them.
        threading.Thread(target=warm, name="athena-warm", daemon=True).start()

    def close(self) -> None:
        self._executions.close()
        self._documents.close()

    def work_group_of(self, query_execution_id: str) -> str | None:
        """Return the work group of a query execution, or None when there is no such execution."""
        found = self._documents.get(KIND, query_execution_id)
        return str(found["WorkGroup"]) if found is not None else None

    def start(self, request: Doc, caller: Caller) -> Doc:
        text = request["QueryString"]
        if len(text.encode()) > MAX_QUERY_BYTES:
            raise _invalid(f"Query string is longer than {MAX_QUERY_BYTES} bytes: it has {len(text.encode())}")
        group = self._groups.find(request.get("WorkGroup", PRIMARY))
        if group["State"] != "ENABLED":
            raise _invalid(f"WorkGroup {group['Name']} is disabled.")
        if (catalog := request.get("QueryExecutionContext", {}).get("Catalog", CATALOG)).lower() != CATALOG.lower():
            raise _invalid(f"Catalog {catalog} is not found: the local AWS has only {CATALOG}")
        output, enforced = self._output(request, group, caller)
        if (before := self._started(request)) is not None:
            return before
        try:
            statement = accept_in_group(text, request.get("ExecutionParameters", ()), self._saved, group["Name"])
        except SqlError as error:
            raise AwsError("InvalidRequestException", error.message, AthenaErrorCode="MALFORMED_QUERY") from None
        execution = _execution(request, statement, group["Name"], output, enforced)
        with self._starting:
            if (before := self._started(request)) is not None:  # the same call, sent twice at once
                return before
            self._executions.start(
                statement,
                execution,
                database=request.get("QueryExecutionContext", {}).get("Database", "default").lower(),
                enforced=enforced,
                cutoff=group["Configuration"].get("BytesScannedCutoffPerQuery"),
                judge=caller.judge,
            )
            response = {"QueryExecutionId": execution["QueryExecutionId"]}
            if token := request.get("ClientRequestToken"):
                self._documents.put("token", token, {**response, "Request": _identity(request)})
        return response

    def _started(self, request: Doc) -> Doc | None:
        """Return the response to an earlier call with the same ClientRequestToken, or None."""
        token = request.get("ClientRequestToken")
        before = self._documents.get("token", token) if token else None
        if before is None:
            return None
        if before["Request"] != _identity(request):
            raise _invalid("Idempotent parameters do not match: this ClientRequestToken started another query")
        return {"QueryExecutionId": before["QueryExecutionId"]}

    def _output(self, request: Doc, group: Doc, caller: Caller) -> tuple[str, bool]:
        """Return the folder of the results, with a slash at the end, and True if the work group enforces it."""
        configuration = group["Configuration"]
        default = configuration.get("ResultConfiguration", {}).get("OutputLocation")
        enforced = bool(configuration.get("EnforceWorkGroupConfiguration") and default)
        output = default if enforced else request.get("ResultConfiguration", {}).get("OutputLocation") or default
        if not output:
            raise _invalid(
                "No output location provided. An output location is required either through the Workgroup result "
                "configuration setting or as an API input."
            )
        try:
            bucket, _ = split_s3_uri(output)
        except ValueError:
            raise _invalid(f"outputLocation is not a valid S3 path. provided: {output}") from None
        unable = f"Unable to verify/create output bucket {bucket}."
        try:
            if not guarded_store(self._store, caller.judge).bucket_exists(bucket):
                raise _invalid(f"{unable} Make sure the output location exists.")
        except AccessDenied as denied:
            raise _invalid(f"{unable} {denied.message}") from None
        return output if output.endswith("/") else f"{output}/", enforced

    def get(self, request: Doc, caller: Caller) -> Doc:
        return {"QueryExecution": _public(self._executions.wait(request["QueryExecutionId"]))}

    def batch_get(self, request: Doc, caller: Caller) -> Doc:
        ids = request["QueryExecutionIds"]
        if len(ids) > _MAX_IDS:
            raise _invalid(f"queryExecutionIds has {len(ids)} entries: {_MAX_IDS} are allowed")
        found, missing = [], []
        for query_id in ids:
            try:
                found.append(_public(self._executions.get(query_id)))
            except AwsError as error:
                reason = {"ErrorCode": "INVALID_QUERY_EXECUTION_ID", "ErrorMessage": error.message}
                missing.append({"QueryExecutionId": query_id, **reason})
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    def stop(self, request: Doc, caller: Caller) -> Doc:
        self._executions.stop(request["QueryExecutionId"])
        return {}

    def list_executions(self, request: Doc, caller: Caller) -> Doc:
        group = self._groups.find(request.get("WorkGroup", PRIMARY))["Name"]
        found, token = page(self._executions.ids(group), request, limit=50)
        return {"QueryExecutionIds": found, **token}

    def results(self, request: Doc, caller: Caller) -> Doc:
        execution = self._executions.get(request["QueryExecutionId"])
        state = execution["Status"]["State"]
        if state in ACTIVE:
            raise _invalid(f"Query has not yet finished. Current state: {state}")
        if state != "SUCCEEDED":
            raise _invalid(f"Query did not finish successfully. Final query state: {state}")
        if caller.judge is not None:
            # https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html: by the caller's S3 rights
            bucket, key = split_s3_uri(execution["ResultConfiguration"]["OutputLocation"])
            caller.judge("s3", "GetObject", {"Bucket": bucket, "Key": key})
        limit = min(request.get("MaxResults", PAGE), PAGE)
        columns, rows, token = self._executions.page(execution, request.get("NextToken"), limit)
        response: Doc = {
            "UpdateCount": execution.get("UpdateCount", 0),
            "ResultSet": {
                "Rows": [{"Data": [{} if v is None else {"VarCharValue": v} for v in row]} for row in rows],
                "ResultSetMetadata": {"ColumnInfo": columns},
            },
        }
        return response | ({"NextToken": token} if token else {})

    def runtime(self, request: Doc, caller: Caller) -> Doc:
        statistics = self._executions.get(request["QueryExecutionId"])["Statistics"]
        times = ("QueryQueueTimeInMillis", "EngineExecutionTimeInMillis", "TotalExecutionTimeInMillis")
        return {
            "QueryRuntimeStatistics": {
                "Timeline": {name: statistics.get(name, 0) for name in times},
                "Rows": {"InputBytes": statistics.get("DataScannedInBytes", 0)},
            }
        }


def _execution(request: Doc, statement: Statement, group: str, output: str, enforced: bool) -> Doc:
    """Return the QueryExecution of a query that was just accepted."""
    execution_id = str(uuid.uuid4())
    extension = "csv" if statement.type == "DML" else "txt"
    configuration = {} if enforced else request.get("ResultConfiguration", {})
    execution = {
        "QueryExecutionId": execution_id,
        "Query": request["QueryString"],
        "StatementType": statement.type,
        "SubstatementType": statement.subtype,
        "ResultConfiguration": {**configuration, "OutputLocation": f"{output}{execution_id}.{extension}"},
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
        "QueryExecutionContext": request.get("QueryExecutionContext", {}),
        "Status": {"State": "QUEUED", "SubmissionDateTime": epoch()},
        "Statistics": {},
        "WorkGroup": group,
        "EngineVersion": ENGINE,
    }
    if parameters := request.get("ExecutionParameters"):
        execution["ExecutionParameters"] = parameters
    return execution


def _identity(request: Doc) -> Doc:
    """Return the members that must be equal in all calls with one ClientRequestToken."""
    return {name: request[name] for name in _IDENTITY if name in request}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message, AthenaErrorCode="INVALID_INPUT")


def _public(execution: Doc) -> Doc:
    return {name: value for name, value in execution.items() if name != "UpdateCount"}
