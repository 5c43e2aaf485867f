"""A thousand Glue runs waited for at once: the amazon provider's trigger and ours, in Airflow's own TriggerRunner.

    .venv/bin/python benchmarks/waiting.py [--waits 1000] [--many 10000]

One endpoint for all: a Glue that answers GetJobRun and GetJobRuns for runs which end at times spread over a minute.
Each line is a process of its own; what a trigger that does nothing costs there is subtracted. Needs Airflow 3.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FIRST_END, SPREAD = 15.0, 60.0  # seconds after the last trigger's creation in which the runs end
ENDS_AT = "LAKEHOUSE_BENCH_ENDS"


class Glue(BaseHTTPRequestHandler):
    """The endpoint; runs are numbered, and end when their number's time has come."""

    protocol_version = "HTTP/1.1"
    ends: list[float] = []  # noqa: RUF012 - of the process
    calls = 0

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:  # how many calls there were
        self._answer({"calls": Glue.calls})

    def do_PUT(self) -> None:  # the runs' ends from now on
        Glue.ends, Glue.calls = json.loads(self._body()), 0
        self._answer({})

    def do_POST(self) -> None:
        Glue.calls += 1
        request, operation = json.loads(self._body()), self.headers["X-Amz-Target"].rpartition(".")[2]
        if operation == "GetJobRun":
            self._answer({"JobRun": self._run(int(request["RunId"]))})
            return
        first = int(request.get("NextToken") or 0)
        last = min(first + request.get("MaxResults", 200), len(Glue.ends))
        more = {"NextToken": str(last)} if last < len(Glue.ends) else {}
        self._answer({"JobRuns": [self._run(number) for number in range(first, last)], **more})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @staticmethod
    def _run(number: int) -> dict[str, Any]:
        over = time.time() >= Glue.ends[number]
        run = {
            "Id": str(number),
            "Attempt": 0,
            "JobName": "trips",
            "JobRunState": "SUCCEEDED" if over else "RUNNING",
            "StartedOn": Glue.ends[0] - 600,
            "LastModifiedOn": Glue.ends[0] - 600,
            "Arguments": {"--YEAR": "2024", "--MONTH": "01", "--cleaned_uri": "s3://bucket/cleaned", "--service": "x"},
            "ExecutionTime": 60,
            "Timeout": 480,
            "MaxCapacity": 2.0,
            "WorkerType": "G.1X",
            "NumberOfWorkers": 2,
            "LogGroupName": "/aws-glue/jobs",
            "GlueVersion": "5.0",
            "PredecessorRuns": [],
        }
        return run | ({"CompletedOn": Glue.ends[number]} if over else {})

    def _answer(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Glue)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


# A line of the table, in its own process


def trigger_of(kind: str, number: int, interval: float) -> tuple[str, dict[str, Any]]:
    if kind == "peer":
        from airflow.providers.amazon.aws.triggers.glue import GlueJobCompleteTrigger

        made = GlueJobCompleteTrigger(
            job_name="trips", run_id=str(number), waiter_delay=int(interval), waiter_max_attempts=10_000
        )
        path, arguments = made.serialize()
        return path, arguments
    if kind == "ours":
        from airflow_lakehouse_provider.triggers.events import VERSION
        from airflow_lakehouse_provider.triggers.glue import GlueJobRunTrigger

        ours = GlueJobRunTrigger(
            job_name="trips",
            run_id=str(number),
            version=VERSION,
            poll_interval=interval,
            aws_conn_id="aws_default",
        )
        return ours.serialize()
    moment = time.time() + FIRST_END + SPREAD
    return "airflow.providers.standard.triggers.temporal.DateTimeTrigger", {
        "moment": __import__("pendulum").from_timestamp(moment)
    }


def child(kind: str, waits: int, interval: float, port: int) -> None:
    import requests
    from airflow.executors.workloads import RunTrigger
    from airflow.jobs.triggerer_job_runner import TriggerRunner
    from airflow.models.trigger import Trigger

    url = f"http://127.0.0.1:{port}"
    noticed: dict[int, float] = {}
    blocked = 0.0

    class Runner(TriggerRunner):
        """The real one, but for its supervisor: this process hands it the triggers and takes the events."""

        async def init_comms(self) -> None:
            class Nobody:
                _reader_task = asyncio.create_task(asyncio.sleep(3600))  # noqa: RUF006 - kept

            self.comms_decoder = Nobody()  # type: ignore[assignment]
            self.watch = asyncio.create_task(watch())

        async def sync_state_to_supervisor(self, finished_ids: list[int]) -> None:
            now = time.time()
            while self.events:
                noticed.setdefault(self.events.popleft().trigger_id, now)
            if len(noticed) + len(self.failed_triggers) >= waits:
                self.stop = True

        async def run_trigger(self, trigger_id: int, trigger: Any, *rest: Any) -> None:
            # To the moment: the runner itself looks at its events once a second.
            real, events = trigger.run, noticed

            async def run() -> Any:
                async for event in real():
                    events[trigger_id] = time.time()
                    yield event

            trigger.run = run
            await super().run_trigger(trigger_id, trigger, *rest)

    async def watch() -> None:
        nonlocal blocked
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            blocked = max(blocked, time.monotonic() - began - 0.01)

    __import__("airflow.providers.amazon.aws.hooks.base_aws")  # what the triggerer has loaded anyway
    first = trigger_of(kind, 0, interval)
    __import__(first[0].rpartition(".")[0])
    runner = Runner()
    ends = [time.time() + FIRST_END + SPREAD * random.random() for _ in range(waits)]  # noqa: S311
    requests.put(url, json=ends, timeout=60).raise_for_status()
    for number in range(waits):
        path, arguments = trigger_of(kind, number, interval)
        runner.to_create.append(
            RunTrigger.model_construct(
                id=number,
                classpath=path,
                encrypted_kwargs=Trigger.encrypt_kwargs(arguments),
                ti=None,
                timeout_after=None,
                dag_data=None,
                watched_assets=None,
            )
        )
    before, cpu = memory(), time.process_time()
    peak = before

    def sample() -> None:
        nonlocal peak
        while not runner.stop:
            peak = max(peak, memory())
            time.sleep(0.2)

    import threading

    threading.Thread(target=sample, daemon=True).start()
    runner.run()
    delays = [noticed[number] - ends[number] for number in noticed] if kind != "idle" else [0.0]
    print(
        json.dumps(
            {
                "megabytes": (peak - before) / 1e6,
                "cpu": time.process_time() - cpu,
                "blocked": blocked,
                "calls": requests.get(url, timeout=60).json()["calls"],
                "delay": sum(delays) / max(1, len(delays)),
                "ended": len(noticed),
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
            }
        )
    )


def memory() -> int:
    """Return the bytes of this process's resident memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(kind: str, waits: int, interval: float, port: int) -> dict[str, Any]:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
        "AIRFLOW__TRIGGERER__CAPACITY": str(waits),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    command = [sys.executable, __file__, "--child", kind, str(waits), str(interval), str(port)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{kind} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waits", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--interval", type=float, default=20.0, help="seconds between polls, of both")
    options = parser.parse_args()
    console = Console(width=120)
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline())
    lines = [
        ("a trigger that does nothing", "idle", options.waits, options.interval),
        ("amazon provider", "peer", options.waits, options.interval),
        ("ours, polling as often", "ours", options.waits, options.interval),
        ("ours, every 2 s", "ours", options.waits, 2.0),
        ("a trigger that does nothing", "idle", options.many, options.interval),
        ("ours, polling as often", "ours", options.many, options.interval),
    ]
    table = Table(title=f"Waiting for Glue runs; a poll every {options.interval:g} s unless stated")
    for heading in ("", "waits", "added MB", "CPU s", "worst block s", "calls", "mean delay s", "events"):
        table.add_column(heading, justify="left" if not heading else "right")
    idle: dict[int, dict[str, Any]] = {}
    try:
        for name, kind, waits, interval in lines:
            with console.status(f"{name}, {waits:,} waits: about {FIRST_END + SPREAD:.0f} s and more"):
                result = measure(kind, waits, interval, port)
            if kind == "idle":
                idle[waits] = result
            net = {key: result[key] - (idle[waits][key] if kind != "idle" else 0) for key in ("megabytes", "cpu")}
            table.add_row(
                name,
                f"{waits:,}",
                f"{net['megabytes']:,.0f}",
                f"{net['cpu']:.1f}",
                f"{result['blocked']:.2f}",
                f"{result['calls']:,}",
                f"{result['delay']:.1f}",
                f"{result['ended']:,}",
            )
    finally:
        server.kill()
    console.print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve()
    elif sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
