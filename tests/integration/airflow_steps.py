"""Airflow 3's scheduler, workers and triggerer, a step at a time: a process that test_lives_in_airflow.py commands.

Reads commands as lines of JSON, answers each with one. Task instances, DAG runs and triggers are rows of Airflow's own
database, moved by Airflow's own functions; each try and each trigger runs in a process of its own, forked from this
one, which can so be killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from types import SimpleNamespace

import httpx
import psutil
import structlog
from airflow import settings
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.trigger import Trigger
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.definitions.dag import _run_task
from airflow.sdk.execution_time import supervisor
from airflow.serialization.serialized_objects import DagSerialization
from airflow.triggers.base import TriggerEvent
from airflow.utils import db
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from botocore.httpsession import URLLib3Session
from sqlalchemy import select

from airflow_lakehouse_provider._airflow.compat import timezone
from airflow_lakehouse_provider.aws import start_once
from airflow_lakehouse_provider.triggers import base

DAG = "months"
# As long as a local call may be on its way; and an event may come at once, as no scheduler looks in between.
start_once.SETTLING, start_once._PAUSE, base.HOLD = 0.5, 0.1, 0.0


class Airflow:
    def __init__(self) -> None:
        settings.configure_orm()
        db.initdb()
        DagBundlesManager().sync_bundles_to_db()
        (bundle,) = DagBundlesManager().get_all_dag_bundles()
        bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        if bag.import_errors:
            raise RuntimeError(bag.import_errors)
        sync_bag_to_db(bag, bundle.name, None)
        self.dag = bag.get_dag(DAG)
        self.scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(self.dag))
        self.run_id = ""
        self._workers: dict[str, int] = {}  # process ids of the tries that run
        # The API builds itself at its first request: once here, not in every fork, and without a thread.
        asyncio.run(self._first_request())

    @staticmethod
    async def _first_request() -> None:
        transport = httpx.ASGITransport(supervisor.in_process_api_server().app)
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client:
            await client.get("/connections/none")

    def new(self, run_id: str, conf: dict) -> None:
        """Create a DAG run, with all its tasks to do."""
        for task in list(self._workers):
            self._end(task, signal.SIGKILL)
        now = timezone.utcnow()
        with create_session() as session:
            self.scheduled.create_dagrun(
                run_id=run_id,
                run_after=now,
                start_date=now,
                conf=conf,
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.RUNNING,
                session=session,
            )
        self.run_id = run_id

    def schedule(self) -> None:
        """Do a round of the scheduler, which also fails tries whose process is gone."""
        for task, pid in list(self._workers.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._workers[task]
        with create_session() as session:
            run = session.scalar(select(DagRun).where(DagRun.run_id == self.run_id))
            for ti in run.get_task_instances(session=session):
                lost = ti.state in (TaskInstanceState.RUNNING, TaskInstanceState.RESTARTING, TaskInstanceState.QUEUED)
                if lost and ti.task_id not in self._workers:
                    ti.task = self.scheduled.get_task(ti.task_id)
                    ti.handle_failure("its process is gone", session=session)
        with create_session() as session:
            run = session.scalar(select(DagRun).where(DagRun.run_id == self.run_id))
            run.dag = self.scheduled
            if run.state == DagRunState.QUEUED:  # cleared after its end
                run.state = DagRunState.RUNNING
            run.schedule_tis(run.update_state(session=session, execute_callbacks=False)[0], session=session)

    def work(self, tasks: list[str], patience: float, dies: str | None = None) -> None:
        """Start the tries that are scheduled, all at once; leave those that run after ``patience`` seconds.

        :param dies: "before" or "after": its process is killed at its StartJobRun, before it or before its answer
        """
        states = self.states()
        for task in tasks:
            if states[task]["state"] == "scheduled" and task not in self._workers:
                self._workers[task] = self._fork(lambda task=task: self._try(task, dies))
        until = time.monotonic() + patience
        while self._workers.keys() & set(tasks) and time.monotonic() < until:
            for task in self._workers.keys() & set(tasks):
                if os.waitpid(self._workers[task], os.WNOHANG)[0]:
                    del self._workers[task]
            time.sleep(0.01)

    def _try(self, task: str, dies: str | None) -> None:
        if dies:
            self._kill_at_start(dies)
        with create_session() as session:
            ti = self._ti(session, task)
            session.expunge_all()
        _run_task(ti=ti, task=self.dag.get_task(task))

    @staticmethod
    def _kill_at_start(dies: str) -> None:
        send = URLLib3Session.send

        def fatal(self, request):
            starts = request.headers.get("X-Amz-Target") in ("AWSGlue.StartJobRun", b"AWSGlue.StartJobRun")
            if starts and dies == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = send(self, request)
            if starts:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        URLLib3Session.send = fatal

    def kill(self, task: str) -> None:
        """Send SIGKILL to the try's process."""
        self._end(task, signal.SIGKILL)

    def trigger(self, task: str, seconds: float) -> None:
        """Run the task's trigger, in a triggerer that lives for some seconds or until there is an event."""
        trigger_id, answer = self._triggerer(task, lambda trigger: self._first_event(trigger, seconds))
        if answer:
            with create_session() as session:
                Trigger.submit_event(trigger_id, TriggerEvent(answer["payload"]), session=session)

    @staticmethod
    async def _first_event(trigger, seconds):
        events = trigger.run()
        with suppress(TimeoutError):
            return {"payload": (await asyncio.wait_for(anext(events), seconds)).payload}

    def clear(self, task: str, triggerer_lives: bool) -> None:
        def act(session, ti):
            clear_task_instances([ti], session)

        self._by_hand(task, act, triggerer_lives)

    def fail(self, task: str, triggerer_lives: bool) -> None:
        def act(session, ti):
            self.scheduled.set_task_instance_state(
                task_id=task, run_id=self.run_id, state=TaskInstanceState.FAILED, session=session
            )

        self._by_hand(task, act, triggerer_lives)

    def _by_hand(self, task: str, act, triggerer_lives: bool) -> None:
        """Do what a user does in the UI; a worker or a living triggerer gets the signal afterwards."""
        with create_session() as session:
            ti = self._ti(session, task)
            deferred, trigger_id = ti.state == TaskInstanceState.DEFERRED, ti.trigger_id
            row = session.get(Trigger, trigger_id) if deferred else None
            trigger = import_string(row.classpath)(**row.kwargs) if row else None
            act(session, ti)
        if task in self._workers:
            self._end(task, signal.SIGTERM)
        elif trigger and triggerer_lives:
            self._in_triggerer(task, trigger, self._killed)

    @staticmethod
    async def _killed(trigger):
        async def wait():
            async for _ in trigger.run():
                pass

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.5)  # it waits already when the user comes
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await trigger.on_kill()  # as the triggerer does after a user's kill

    def _triggerer(self, task, use):
        with create_session() as session:
            ti = self._ti(session, task)
            if ti.state != TaskInstanceState.DEFERRED:
                return None, None
            row = session.get(Trigger, ti.trigger_id)
            trigger, trigger_id = import_string(row.classpath)(**row.kwargs), row.id
        return trigger_id, self._in_triggerer(task, trigger, use)

    def _in_triggerer(self, task, trigger, use):
        """Return the result of ``use(trigger)``, run in a process with a triggerer's API and a task instance."""
        with create_session() as session:
            ti = self._ti(session, task)
            about = {
                "dag_id": DAG,
                "task_id": task,
                "run_id": self.run_id,
                "map_index": -1,
                "trigger_id": ti.trigger_id,
            }
            ti_id = ti.id
        trigger.task_instance = SimpleNamespace(**about)
        reader, writer = os.pipe()

        def triggerer() -> None:
            process = supervisor.InProcessTestSupervisor(
                id=ti_id,
                pid=os.getpid(),
                process=psutil.Process(),
                process_log=structlog.get_logger(),
                client=supervisor.InProcessTestSupervisor._api_client(),
            )
            process.comms = supervisor.InProcessSupervisorComms(supervisor=process)
            with supervisor.set_supervisor_comms(process.comms):
                os.write(writer, json.dumps(asyncio.run(use(trigger))).encode())

        pid = self._fork(triggerer)
        os.close(writer)
        with os.fdopen(reader) as answers:
            answer = answers.read()
        os.waitpid(pid, 0)
        return json.loads(answer)

    def states(self) -> dict:
        with create_session() as session:
            found = session.scalars(select(TaskInstance).where(TaskInstance.run_id == self.run_id))
            return {
                ti.task_id: {
                    "state": ti.state,
                    "try_number": ti.try_number,
                    "max_tries": ti.max_tries,
                    "runs": ti.task_id in self._workers,
                }
                for ti in found
            }

    def _ti(self, session, task):
        ti = session.scalar(
            select(TaskInstance).where(TaskInstance.run_id == self.run_id, TaskInstance.task_id == task)
        )
        ti.task = self.scheduled.get_task(task)
        return ti

    def _end(self, task: str, how: signal.Signals) -> None:
        pid = self._workers.pop(task, None)
        if pid is None:
            return
        os.kill(pid, how)
        until = time.monotonic() + 5  # then Airflow's supervisor kills
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return
            time.sleep(0.01)

    @staticmethod
    def _fork(do) -> int:
        settings.engine.dispose(close=False)  # connections are nobody's to share
        pid = os.fork()
        if pid:
            return pid
        try:
            do()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # logs
    airflow = Airflow()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        getattr(airflow, name)(**arguments)
        print(json.dumps(airflow.states()), file=answers, flush=True)


if __name__ == "__main__":
    serve()
