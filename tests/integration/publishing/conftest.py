"""A small lake whose months are built in audit schemas by the statements that dbt-athena sends."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from airflow_lakehouse_provider.publishing import objects
from airflow_lakehouse_provider.publishing.attempt import (
    BUILT,
    PARTITIONED,
    PASSED,
    STATEMENTS,
    TABLE,
    VIEW,
    AttemptStore,
    AuditAttempt,
    Gate,
    Node,
    now,
)
from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.clone import clone, forget_scope
from airflow_lakehouse_provider.publishing.names import Places, TableName, new_audit
from airflow_lakehouse_provider.publishing.publish import Publisher
from airflow_lakehouse_provider.publishing.reads import ConflictCheck, QuerySettings


class Lake:
    """Production: ``facts`` by month, ``totals`` of all months (a table), ``recent`` (a view)."""

    def __init__(self, local_aws: Any, boto: Any) -> None:
        self.glue, self.s3, self.athena = boto("glue"), boto("s3"), boto("athena")
        name = uuid.uuid4().hex[:12]
        self.schema, self.bucket, self.results = f"marts_{name}", f"curated-{name}", f"results-{name}"
        for bucket in (self.bucket, self.results):
            self.s3.create_bucket(Bucket=bucket)
        self.glue.create_database(DatabaseInput={"Name": self.schema})
        self.places = Places(f"s3://{self.bucket}/tables")
        self.attempts = AttemptStore(self.s3, self.places)
        self.lines: list[str] = []

    # --- Athena
    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, as texts."""
        started = self.athena.start_query_execution(
            QueryString=sql, ResultConfiguration={"OutputLocation": f"s3://{self.results}/"}
        )
        # The local AWS answers GetQueryExecution when the query has ended.
        while True:
            found = self.athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
            if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
                break
        assert found["Status"]["State"] == "SUCCEEDED", (sql, found["Status"])
        if not sql.lstrip().lower().startswith(("select", "with")):
            return []
        rows = self.athena.get_query_results(QueryExecutionId=started["QueryExecutionId"])["ResultSet"]["Rows"][1:]
        return [tuple(cell.get("VarCharValue") for cell in row["Data"]) for row in rows]

    def facts(self, schema: str | None = None) -> list[tuple[Any, ...]]:
        """Return rows and sum of each month."""
        sql = f"select month, count(*), sum(amount) from {schema or self.schema}.facts group by month order by month"
        return [(int(month), int(count), int(total)) for month, count, total in self.query(sql)]

    def totals(self) -> list[tuple[Any, ...]]:
        """Return what the whole table says of each month."""
        sql = f"select month, total from {self.schema}.totals order by month"
        return [(int(month), int(total)) for month, total in self.query(sql)]

    # --- dbt's part
    def node(self, audit: str, name: str, kind: str, reads: tuple[str, ...] = ()) -> Node:
        return Node(f"model.p.{name}", kind, TableName(self.schema, name), TableName(audit, name), reads)

    def nodes(self, audit: str, *names: str) -> tuple[Node, ...]:
        known = {
            "facts": (PARTITIONED, ()),
            "running": (PARTITIONED, ("model.p.facts",)),
            "totals": (TABLE, ("model.p.facts",)),
            "recent": (VIEW, ("model.p.facts",)),
        }
        return tuple(self.node(audit, name, *known[name]) for name in names)

    def begin(self, unit: str, *names: str, scope: str | None = None, **more: Any) -> AuditAttempt:
        """Claim an attempt and clone production."""
        audit = new_audit(self.schema)
        nodes = self.nodes(audit, *names)
        attempt = AuditAttempt(
            audit, unit, now(), nodes=nodes, databases=(audit,), scope=scope, run=f"dag/{unit}", **more
        )
        if "facts" not in names:
            attempt = AuditAttempt(**{**vars(attempt), "parents": {"model.p.facts": TableName(self.schema, "facts")}})
        uri = self.attempts.claim(attempt)
        base = clone(Catalogue(self.glue), attempt, self.places)
        return self.attempts.change(uri, base=base)

    def build_month(self, attempt: AuditAttempt, month: int, amounts: list[int], model: str = "facts") -> None:
        """Build a month of a model as insert_overwrite does under the gate: forget its partition, then insert."""
        values = ", ".join(f"({amount}, 2024, {month})" for amount in amounts)
        self.build_partitions(attempt, model, f"select * from (values {values}) as t (amount, year, month)", [month])

    def build_partitions(self, attempt: AuditAttempt, model: str, select: str, months: list[int]) -> None:
        audit, place = attempt.audit, self.places.files(attempt.audit)
        if not self.exists(audit, model):
            self.query(
                f"create table {audit}.{model} with (external_location='{place}/{model}/{uuid.uuid4()}',"
                f" partitioned_by=ARRAY['year', 'month']) as {select}"
            )
            return
        for month in months:
            self.query(f"alter table {audit}.{model} drop if exists partition (year = 2024, month = {month})")
        self.query(f"insert into {audit}.{model} {select}")

    def build_totals(self, attempt: AuditAttempt) -> None:
        facts = attempt.audit if self.exists(attempt.audit, "facts") else self.schema
        self.query(
            f"create table {attempt.audit}.totals with (external_location="
            f"'{self.places.files(attempt.audit)}/totals/{uuid.uuid4()}')"
            f" as select year, month, sum(amount) as total from {facts}.facts group by year, month"
        )

    def build_view(self, attempt: AuditAttempt, condition: str = "amount > 1") -> None:
        facts = attempt.audit if self.exists(attempt.audit, "facts") else self.schema
        self.query(
            f'create or replace view {attempt.audit}.recent as select * from "{facts}"."facts" where {condition}'
        )

    def end(
        self, attempt: AuditAttempt, gate: Gate | None = None, statements: dict[str, list[str]] | None = None
    ) -> str:
        """End the build and its gate; return the attempt's address."""
        uri = self.attempts.uri(attempt.audit)
        content = statements or {node.unique_id: [] for node in attempt.nodes}
        place = f"{self.places.attempt(attempt.audit)}/{STATEMENTS}"
        objects.write(self.s3, place, json.dumps(content).encode())
        built = tuple(node.unique_id for node in attempt.nodes)
        self.attempts.change(uri, state=BUILT, built=built, gate=gate or Gate(PASSED))
        return uri

    def built(self, unit: str, month: int, amounts: list[int], *others: str, **more: Any) -> str:
        """Build a month of facts and others, and return the attempt's address."""
        attempt = self.begin(unit, "facts", *others, **more)
        self.build_month(attempt, month, amounts)
        if "totals" in others:
            self.build_totals(attempt)
        if "recent" in others:
            self.build_view(attempt)
        return self.end(attempt)

    def rebuild(self, unit: str, carried: Any, nodes: Any, restores: int | None) -> str:
        """Build `totals` again, upon production and the changes that are carried over; return the attempt's address."""
        names = {step.node.rpartition(".")[2] for step in carried}
        audit = new_audit(self.schema)
        kept = tuple(each.unique_id for each in self.nodes(audit, *sorted(names)))
        attempt = AuditAttempt(
            audit,
            unit,
            now(),
            nodes=self.nodes(audit, *sorted(names | {each.rpartition(".")[2] for each in nodes})),
            databases=(audit,),
            carried=kept,
            restores=restores,
            parents={"model.p.facts": TableName(self.schema, "facts")},
        )
        uri = self.attempts.claim(attempt)
        self.attempts.change(uri, base=clone(Catalogue(self.glue), attempt, self.places, carried))
        for node in nodes:
            {"totals": self.build_totals, "recent": self.build_view}[node.rpartition(".")[2]](attempt)
        return self.end(attempt)

    def emptied(self, unit: str, scope: str) -> str:
        """Build a unit without rows, and return the attempt's address."""
        attempt = self.begin(unit, "facts", scope=scope, empty=True)
        forget_scope(Catalogue(self.glue), attempt)
        return self.end(attempt)

    def exists(self, schema: str, table: str) -> bool:
        return Catalogue(self.glue).table(TableName(schema, table)) is not None

    # --- publishing
    def publisher(self, **clients: Any) -> Publisher:
        glue, s3 = clients.get("glue", self.glue), clients.get("s3", self.s3)
        settings = QuerySettings(output=f"s3://{self.results}/")
        conflicts = ConflictCheck(self.glue, self.s3, self.athena, self.places, settings, self.lines.append)
        return Publisher(glue, s3, self.places, conflicts=conflicts, log=self.lines.append)

    def publish_month(self, month: int, amounts: list[int], *others: str, **more: Any) -> Any:
        """Build, test and publish a month."""
        return self.publisher().publish(self.built(f"2024-{month:02d}", month, amounts, *others, **more))

    def snapshot(self) -> dict[str, Any]:
        """Return production's definitions and pointers, without what Glue counts by itself."""
        found: dict[str, Any] = {}
        for table in Catalogue(self.glue).tables(self.schema):
            name = TableName(self.schema, table["Name"])
            partitions = Catalogue(self.glue).partitions(name) if table.get("PartitionKeys") else {}
            found[table["Name"]] = (
                {key: value for key, value in table.items() if key not in ("UpdateTime", "CreateTime", "VersionId")},
                {values: each["StorageDescriptor"]["Location"] for values, each in partitions.items()},
            )
        return found

    def by_hand(self, month: int, amounts: list[int]) -> None:
        """Do what a plain `dbt run` does to a month in production: delete the partition's files, insert."""
        name = TableName(self.schema, "facts")
        for values, each in Catalogue(self.glue).partitions(name, f"year = 2024 and month = {month}").items():
            place = each["StorageDescriptor"]["Location"].rstrip("/")
            for key in objects.files_at(self.s3, place):
                self.s3.delete_object(Bucket=self.bucket, Key=key)
            Catalogue(self.glue).delete_partitions(name, [values])
        rows = ", ".join(f"({amount}, 2024, {month})" for amount in amounts)
        self.query(f"insert into {self.schema}.facts select * from (values {rows}) as t (amount, year, month)")


@pytest.fixture
def lake(local_aws: Any, boto: Any) -> Lake:
    """A lake of the test's own, with nothing in it."""
    return Lake(local_aws, boto)
