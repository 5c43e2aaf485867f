"""A gated run of dbt: a build into an audit schema, or a test of what such a build has left there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from airflow_lakehouse_provider.dbt.artifacts import ArtifactError, DbtResults
from airflow_lakehouse_provider.dbt.attempt import Aws
from airflow_lakehouse_provider.dbt.commands import DbtArguments
from airflow_lakehouse_provider.dbt.events import DbtEvent
from airflow_lakehouse_provider.dbt.gate import marker, parsing, work_group
from airflow_lakehouse_provider.dbt.gate.comparison import ProductionFiles
from airflow_lakehouse_provider.dbt.gate.fence import fenced, session_policy
from airflow_lakehouse_provider.dbt.gate.kinds import AuditPlace
from airflow_lakehouse_provider.dbt.gate.marker import AttemptLost
from airflow_lakehouse_provider.dbt.gate.nodes import decide, is_of, kept_failures
from airflow_lakehouse_provider.dbt.gate.parsing import ParseFailed
from airflow_lakehouse_provider.dbt.gate.refused import GateRefused
from airflow_lakehouse_provider.dbt.gate.request import TESTS, GateRequest
from airflow_lakehouse_provider.dbt.gate.statements import Statements
from airflow_lakehouse_provider.dbt.invocation import Invocation
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.dbt.stage import DbtStage, write_profiles
from airflow_lakehouse_provider.dbt.store import RESULTS
from airflow_lakehouse_provider.dbt.verdict import PERMANENT, RETRYABLE, STOPPED, SUCCESS, DbtVerdict
from airflow_lakehouse_provider.publishing import objects
from airflow_lakehouse_provider.publishing.attempt import (
    AUDIT_MANIFEST,
    BUILT,
    DOCUMENT,
    FAILED,
    GATE_FAILED,
    PASSED,
    PRODUCTION_MANIFEST,
    STATEMENTS,
    AttemptStore,
    AuditAttempt,
    Gate,
    now,
)
from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.clone import clone, forget_scope
from airflow_lakehouse_provider.publishing.names import Places, new_audit
from airflow_lakehouse_provider.publishing.publish import unchanged
from airflow_lakehouse_provider.publishing.record import History, Publication
from airflow_lakehouse_provider.s3_uri import split_s3_uri

# Databases in which the tests of a project keep their failures: one by dbt's default, and the policy has room for few.
_MOST_KEPT = 3
# Members of the task's result
ATTEMPT_KEY, AUDIT_KEY, UNCHANGED_KEY = "attempt", "audit", "unchanged"

Conclude = Callable[[DbtStage, int, Invocation], DbtVerdict]


class GatedRun(Protocol):
    """A gated command of one try."""

    def access(self) -> Aws:
        """Return the access to AWS that dbt gets."""

    def __call__(self, stage: DbtStage, conclude: Conclude) -> DbtVerdict:
        """Run dbt and return the verdict.

        :param conclude: returns the verdict on an invocation, once its artifacts are kept
        """


def gated_run(request: DbtRequest, arguments: DbtArguments, aws: Aws) -> GatedRun | None:
    """Return the gated run of a request; None where it has none."""
    if request.gate is None:
        return None
    gate = GateRequest.load(request.gate)
    return (GatedTest if arguments.command == TESTS else GatedBuild)(request, arguments, gate, aws)


class GatedBuild:
    """A build of a unit into an audit schema of its own."""

    def __init__(self, request: DbtRequest, arguments: DbtArguments, gate: GateRequest, aws: Aws) -> None:
        self._request = request
        self._arguments = arguments
        self._gate = gate
        self._aws = aws
        self._places = Places(gate.data)
        self._audit = new_audit(gate.schema)
        self._files = self._places.files(self._audit)

    def access(self) -> Aws:
        """Return the access to AWS that dbt gets: that of a session that writes into the audit schema alone.

        :raises GateRefused: the role cannot be assumed, or the work group cannot be used
        """
        gate = self._gate
        results = work_group.results(self._aws.client("athena"), gate, self._request.work_group)
        if not gate.fence:
            return self._aws
        policy = session_policy(gate.partition, [self._files, *results], [f"{self._audit}*"])
        return fenced(self._aws, gate.fence, policy, gate.session)

    def __call__(self, stage: DbtStage, conclude: Conclude) -> DbtVerdict:
        """Judge the project, clone production, build, and record the attempt."""
        gate, audit = self._gate, self._audit
        code = stage.project.fingerprint()
        if (known := self._unchanged_publication(code)) is not None:
            message = (
                f"{known.label} was built from the same project, and is younger than {gate.unchanged_days:g} days."
            )
            result = {"command": self._arguments.command, "success": True, "nodes": [], "counts": {}, "failures": []}
            return DbtVerdict(SUCCESS, message, {**result, ATTEMPT_KEY: None, AUDIT_KEY: None, UNCHANGED_KEY: True})
        parsing.prepare(stage)
        content = parsing.audit_profiles(self._request.profiles or {}, audit, self._files)
        profiles = write_profiles(stage.path / "audit", content)
        try:
            manifests = parsing.parse(stage, profiles, gate.direct)
        except ParseFailed as error:
            return DbtVerdict(error.status, f"{error}\n{self._unchanged}")
        decision = decide(manifests.production, manifests.audit, manifests.selected, AuditPlace(audit, self._files))
        if not decision.nodes:
            return self._nothing(stage)
        s3, glue = self._aws.client("s3"), self._aws.client("glue")
        store = AttemptStore(s3, self._places)
        attempt = AuditAttempt(
            audit,
            str(gate.unit),
            now(),
            nodes=decision.nodes,
            parents=decision.parents,
            code=code,
            run=gate.run,
            scope=gate.scope,
            unchanged_days=gate.unchanged_days,
            empty=gate.empty,
            databases=decision.databases,
        )
        uri = store.claim(attempt)
        ended = False
        try:
            if self._request.task_uri:
                marker.take(s3, lambda: self._aws.client("athena"), self._request.task_uri, uri, store, stage.log)
            self._clone(store, uri, Catalogue(glue), attempt)
            stage.log(logging.INFO, f"{len(decision.nodes)} nodes are built in {audit}, a clone of {gate.schema}")
            before = ProductionFiles(glue, s3, attempt) if gate.compare else None
            verdict = self._build(stage, profiles, manifests.folder, store, uri, conclude, before)
            ended = True
        finally:
            if not ended:
                marker.finish(s3, uri, state=FAILED)
        return replace(verdict, result={**verdict.result, ATTEMPT_KEY: uri, AUDIT_KEY: audit}, models=[])

    def _unchanged_publication(self, code: str) -> Publication | None:
        """Return the publication that makes this build unnecessary; None where there is none."""
        gate = self._gate
        glue, history = Catalogue(self._aws.client("glue")), History(self._aws.client("s3"), self._places)
        return unchanged(glue, history, str(gate.unit), code, gate.unchanged_days)

    def _clone(self, store: AttemptStore, uri: str, glue: Catalogue, attempt: AuditAttempt) -> None:
        try:
            base = clone(glue, attempt, self._places)
        except BaseException:
            for database in attempt.databases:  # nothing was built, and nothing is left
                glue.delete_database(database)
            raise
        store.change(uri, base=base)

    def _build(
        self,
        stage: DbtStage,
        profiles: Path,
        state: Path,
        store: AttemptStore,
        uri: str,
        conclude: Conclude,
        before: ProductionFiles | None,
    ) -> DbtVerdict:
        """Run dbt once, and record what came of it."""
        gate, statements, announced = self._gate, Statements(), False

        def see(event: DbtEvent) -> None:
            nonlocal announced
            if not announced and event.invocation_id:
                announced = True
                group = self._request.work_group
                store.change(uri, invocation={"invocation_id": event.invocation_id, "work_group": group})
            statements.see(event)

        arguments = self._arguments
        deferred = () if arguments.command == "seed" else ("--defer", "--favor-state", "--state", str(state))
        command = replace(
            arguments,
            exclude=(*arguments.exclude, *gate.direct),
            flags=(*arguments.flags, *deferred),
            full_refresh=False,
        )
        code, invocation = stage.invoke(stage.line(command, profiles=profiles), on_event=see)
        verdict = conclude(stage, code, invocation)
        s3 = self._aws.client("s3")
        if verdict.status == STOPPED:
            marker.finish(s3, uri, state=FAILED)
            return verdict
        attempt = store.read(uri)
        built, rows = _built(stage, attempt)
        missing = sorted({node.unique_id for node in attempt.nodes} - set(built))
        if verdict.status == SUCCESS and missing:
            message = f"{stage.title} succeeded and did not build {', '.join(missing[:5])} ({len(missing)} in all)"
            verdict = replace(verdict, status=RETRYABLE, message=message)
        changes = before.changes() if before is not None else None
        if changes is not None:
            verdict = replace(verdict, status=PERMANENT, message="\n".join(filter(None, (changes, verdict.message))))
        parsing.audit_parse_cache(stage, self._audit).keep(stage.target)
        self._keep(stage, state, statements, uri)
        succeeded = verdict.status == SUCCESS
        if succeeded and gate.empty:
            forget_scope(Catalogue(self._aws.client("glue")), attempt)
        ended = marker.finish(s3, uri, state=BUILT if succeeded else FAILED, built=built, rows=rows)
        if ended is None:
            raise AttemptLost(
                f"{stage.title} built {self._audit} to its end, and another try of this task had given it up. "
                f"{self._unchanged}"
            )
        if not succeeded and changes is None:
            verdict = replace(verdict, message=f"{verdict.message}\n{self._unchanged}")
        return verdict

    def _keep(self, stage: DbtStage, state: Path, statements: Statements, uri: str) -> None:
        """Put what the publication needs beside the attempt's document."""
        s3, folder = self._aws.client("s3"), uri.rpartition("/")[0]
        file = stage.path / STATEMENTS
        statements.write(self._aws.client("athena"), file)
        kept = {
            STATEMENTS: file,
            PRODUCTION_MANIFEST: state / parsing.MANIFEST,
            AUDIT_MANIFEST: stage.target / parsing.MANIFEST,
            RESULTS: stage.target / RESULTS,
        }
        for name, path in kept.items():
            if path.is_file():
                bucket, key = split_s3_uri(f"{folder}/{name}")
                s3.upload_file(str(path), bucket, key, ExtraArgs={"ContentType": "application/json"})

    def _nothing(self, stage: DbtStage) -> DbtVerdict:
        arguments = self._arguments
        if self._request.allow_empty:
            result = {"command": arguments.command, "success": True, "nodes": [], "counts": {}, "failures": []}
            return DbtVerdict(SUCCESS, result={**result, ATTEMPT_KEY: None, AUDIT_KEY: None})
        return DbtVerdict(
            PERMANENT,
            f"{stage.title} had nothing to build: {arguments.selection} matches no model or seed. Correct it, or set "
            "allow_empty=True if that may be.",
        )

    @property
    def _unchanged(self) -> str:
        return f"Unit {self._gate.unit}, audit schema {self._audit}: production is unchanged."


class GatedTest:
    """The tests of an attempt, which read its audit schema."""

    def __init__(self, request: DbtRequest, arguments: DbtArguments, gate: GateRequest, aws: Aws) -> None:
        self._request = request
        self._arguments = arguments
        self._gate = gate
        self._aws = aws
        self._uri = str(gate.attempt)
        self._store = AttemptStore(aws.client("s3"), Places(gate.data))
        self._history = History(aws.client("s3"), self._store.places)
        self._attempt: AuditAttempt | None = None
        self._kept: tuple[str, ...] = ()

    def access(self) -> Aws:
        """Return the access to AWS that dbt gets: that of a session that writes nothing but query results.

        :raises GateRefused: there is nothing to test, or the role cannot be assumed
        """
        gate = self._gate
        self._attempt = attempt = self._read()
        self._kept = self._databases(attempt)
        if not gate.fence:
            return self._aws
        results = work_group.results(self._aws.client("athena"), gate, self._request.work_group)
        prefixes = [*results, *([self._kept_files(attempt)] if self._kept else [])]
        policy = session_policy(gate.partition, prefixes, self._kept)
        return fenced(self._aws, gate.fence, policy, gate.session)

    def __call__(self, stage: DbtStage, conclude: Conclude) -> DbtVerdict:
        """Test, and write the result into the attempt's document."""
        attempt = self._attempt
        assert attempt is not None, "access() comes first"
        if attempt.code != stage.project.fingerprint():
            raise GateRefused(
                f"the project is not the one that {attempt.audit} was built from: deploy one version, and build again"
            )
        parsing.prepare(stage)
        self._store.change(self._uri, gate=None)  # of an earlier try
        files = self._kept_files(attempt) if self._kept else self._store.places.files(attempt.audit)
        content = parsing.audit_profiles(self._request.profiles or {}, attempt.audit, files)
        profiles = write_profiles(stage.path / "audit", content)
        state = stage.path / "state"
        state.mkdir()
        (state / parsing.MANIFEST).write_bytes(self._artifact(PRODUCTION_MANIFEST))
        parsed = parsing.audit_parse_cache(stage, attempt.audit)
        parsed.load(stage.target)
        # Without --favor-state: dbt counts only tests as selected, and would have them read production.
        command = replace(
            self._arguments, flags=(*self._arguments.flags, "--defer", "--no-favor-state", "--state", str(state))
        )
        code, invocation = stage.invoke(stage.line(command, profiles=profiles))
        verdict = conclude(stage, code, invocation)
        gate = self._result(stage, verdict)
        if gate is not None:
            self._store.change(self._uri, gate=gate)
            if gate.status != PASSED:
                self._history.record_gate(attempt, gate, self._gate.run)
        result = {**verdict.result, ATTEMPT_KEY: self._uri, AUDIT_KEY: attempt.audit}
        message = verdict.message
        if verdict.status != SUCCESS:
            message += self._what_now(attempt)
        return replace(verdict, message=message, result=result)

    def _what_now(self, attempt: AuditAttempt) -> str:
        """Return what a person who is woken by a failed gate needs: what is public, and the two commands."""
        published = self._history.published(attempt.unit)
        public = f"Generation {published[-1].generation} is public" if published else "It was never published"
        return (
            f"\nUnit {attempt.unit}, audit schema {attempt.audit}: production is unchanged. {public}. "
            f"`lakehouse history --month {attempt.unit}` lists its generations; `lakehouse publish --month "
            f"{attempt.unit} --accept TEST --reason TEXT` publishes it all the same."
        )

    def _read(self) -> AuditAttempt:
        uri, store = self._uri, self._store
        audit = uri.rpartition("/")[0].rpartition("/")[2]
        if uri != f"{store.places.attempt(audit)}/{DOCUMENT}":
            raise GateRefused(
                f"audit is {uri!r}, which is not the address of an attempt under {store.places.attempts}: give the "
                "XCom 'attempt' of the task that built"
            )
        attempt = store.read(uri)
        if attempt.state != BUILT:
            raise GateRefused(
                f"attempt {attempt.audit} of {attempt.unit} is {attempt.state}, and only one that was built is tested: "
                "run its build again"
            )
        return attempt

    def _databases(self, attempt: AuditAttempt) -> tuple[str, ...]:
        """Return the databases in which tests keep their failures."""
        import json

        manifest = json.loads(self._artifact(AUDIT_MANIFEST))
        always = "--store-failures" in self._arguments.flags
        found = kept_failures(manifest, list(manifest["nodes"]), always=always)
        databases, models = set(found.values()), {node.audit.database for node in attempt.nodes}
        for test, database in sorted(found.items()):
            if not is_of(database, attempt.audit) or database in models:
                where = "the schema of models" if database in models else "no schema of the audit's"
                raise GateRefused(
                    f"{test} stores its failures in {database}, {where}; a test only reads what was built. Give tests "
                    "a schema of their own (dbt's default, dbt_test__audit), or set store_failures: false"
                )
        if len(databases) > _MOST_KEPT:
            raise GateRefused(
                f"tests store failures in {len(databases)} schemas, and the fence has room for {_MOST_KEPT}"
            )
        return tuple(sorted(databases))

    def _kept_files(self, attempt: AuditAttempt) -> str:
        return f"{self._store.places.files(attempt.audit)}/tests"

    def _artifact(self, name: str) -> bytes:
        uri = f"{self._uri.rpartition('/')[0]}/{name}"
        found = objects.read(self._aws.client("s3"), uri)
        if found is None:
            raise GateRefused(f"there is no {uri}: the attempt was swept. Build again")
        return found[0]

    def _result(self, stage: DbtStage, verdict: DbtVerdict) -> Gate | None:
        """Return the gate's result; None where no test has decided."""
        if verdict.status not in (SUCCESS, PERMANENT):
            return None
        artifacts = verdict.result.get("artifacts_uri")
        if verdict.status == SUCCESS:
            return Gate(PASSED, artifacts=artifacts, at=now())
        try:
            results = DbtResults.read(stage.target / RESULTS)
        except ArtifactError:
            return None
        if not results.failures:
            return None
        failed = tuple(node.unique_id for node in results.failures)
        return Gate(GATE_FAILED, results.sentence(), failed, artifacts, now())


def _built(stage: DbtStage, attempt: AuditAttempt) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the nodes that dbt built without an error, and the rows of those that it counted."""
    try:
        results = DbtResults.read(stage.target / RESULTS)
    except ArtifactError:
        return (), {}
    wanted = {node.unique_id for node in attempt.nodes}
    found = [node for node in results.nodes if node.unique_id in wanted and node.status == "success"]
    return tuple(node.unique_id for node in found), {n.unique_id: n.rows for n in found if n.rows is not None}
