"""The demo's Airflow: api-server, scheduler, DAG processor and triggerer on loopback, and a client of its REST API."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from airflow_lakehouse_provider.demo.errors import DemoError
from airflow_lakehouse_provider.demo.processes import Service, free_ports

USER = "admin"
_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_MIGRATION_SECONDS = 300
_START_SECONDS = 180
_POLL_SECONDS = 0.5


class Airflow:
    """A real Airflow with its state under ``home``; :meth:`start` it, and :meth:`stop` it in any case.

    :param home: AIRFLOW_HOME, emptied by the caller
    :param dags: the folder of DAGs
    :param cache: the folder in which a newly migrated database is kept for the next demo
    :param environment: more variables for its processes, such as the local AWS's
    :param database: SQLAlchemy's address of an empty database; the default is sqlite under ``home``
    """

    def __init__(
        self, home: Path, dags: Path, *, cache: Path, environment: Mapping[str, str], database: str | None = None
    ) -> None:
        self.version = version("apache-airflow")
        if int(self.version.partition(".")[0]) < 3:
            raise DemoError(
                f"the demo needs Airflow 3, and {self.version} is installed beside {sys.executable}. The operators run "
                "on 2.10 too; for the demo make an environment with apache-airflow>=3"
            )
        self.home = home
        self.logs = home / "logs"
        self.password = secrets.token_urlsafe(12)
        self._cache = cache
        self._database = database
        self._passwords = home / "passwords.json"
        self._services: list[Service] = []
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands before loopback
        self._port, worker_logs, trigger_logs = free_ports(3)
        self._environment = {
            **_without_settings(os.environ),
            **environment,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            **_settings(home, dags, self._port, worker_logs, trigger_logs, self._passwords),
        }
        if database is not None:
            self._environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database

    @property
    def url(self) -> str:
        """The web UI's address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start its processes; :meth:`wait_for_dag` waits until they are ready."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._passwords.touch(mode=0o600)
        self._passwords.write_text(json.dumps({USER: self.password}))
        self._migrate()
        for name in _COMPONENTS:
            options = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
            command = self._command(name, *(options if name == "api-server" else ()))
            self._services.append(self._service(f"Airflow's {name}", command, self.logs / f"{name}.log"))

    def _service(self, name: str, command: list[str], log: Path) -> Service:
        return Service(name, command, environment=self._environment, log=log)

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "airflow", *arguments]

    def _migrate(self) -> None:
        # Migrating an empty database takes many seconds and gives the same result every time.
        template = self._cache / f"airflow-{self.version}.db"
        database = self.home / "airflow.db"
        if template.is_file() and self._database is None:
            shutil.copyfile(template, database)
            return
        migration = self._service("airflow db migrate", self._command("db", "migrate"), self.logs / "migrate.log")
        try:
            migration.wait(_MIGRATION_SECONDS)
        finally:
            migration.stop()
        if self._database is not None:
            return
        self._cache.mkdir(parents=True, exist_ok=True)
        partial = template.with_suffix(".partial")
        shutil.copyfile(database, partial)
        partial.replace(template)

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until the API responds and the DAG is parsed.

        :raises DemoError: naming the reason, when that takes too long
        """
        self._until(self._responds, "Airflow's api-server does not respond")
        token = self._session.post(f"{self.url}/auth/token", json={"username": USER, "password": self.password})
        if not token.ok:
            raise DemoError(f"Airflow refused the login with {token.status_code}: {token.text}")
        self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        self._until(lambda: self._parsed(dag_id), f"the DAG {dag_id} does not appear")

    def _until(self, condition: Callable[[], bool], failure: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{failure} after {_START_SECONDS} s. Airflow's logs: {self.logs}")
            time.sleep(_POLL_SECONDS)

    def _responds(self) -> bool:
        try:
            return self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5).ok
        except requests.RequestException:
            return False

    def _parsed(self, dag_id: str) -> bool:
        for error in self.get("importErrors")["import_errors"]:
            raise DemoError(f"{error['filename']} cannot be imported: {error['stack_trace'].strip().splitlines()[-1]}")
        response = self._session.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=30)
        return response.ok

    def check(self) -> None:
        """Raise DemoError if one of its processes has ended."""
        for service in self._services:
            service.check()

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the REST API's response to GET /api/v2/<path>."""
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the REST API's response to POST /api/v2/<path> with this body."""
        return self._request("POST", path, json=body)

    def _request(self, method: str, path: str, **arguments: Any) -> Any:
        for pause in (1, 2, 4, 0):
            try:
                response = self._session.request(method, f"{self.url}/api/v2/{path}", timeout=60, **arguments)
            except requests.RequestException as error:
                failure = str(error)
            else:
                if response.ok:
                    return response.json()
                failure = f"{response.status_code} {response.text[:500]}"
                if response.status_code < 500:
                    break
            self.check()
            if method != "GET":
                break
            time.sleep(pause)
        raise DemoError(f"Airflow's API refused {method} {path}: {failure}. Airflow's logs: {self.logs}")

    def stop(self) -> None:
        """Stop every process; its files stay, except for the password."""
        for service in self._services:
            service.terminate()
        for service in self._services:
            service.stop()
        self._services.clear()
        self._session.close()
        with contextlib.suppress(FileNotFoundError):
            self._passwords.unlink()


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without settings of the user's own Airflow, AWS and dbt."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW_", "AWS_", "DBT_"))
    }


def _settings(
    home: Path, dags: Path, port: int, worker_logs: int, trigger_logs: int, passwords: Path
) -> dict[str, str]:
    settings: dict[str, dict[str, Any]] = {
        "core": {
            "dags_folder": dags,
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 8,
            "dags_are_paused_at_creation": False,
            "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": passwords,
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}"},
        "api": {"base_url": f"http://127.0.0.1:{port}", "secret_key": secrets.token_hex(32)},
        "api_auth": {"jwt_secret": secrets.token_hex(32)},
        "scheduler": {"enable_health_check": False, "scheduler_idle_sleep_time": 0.5},
        # One file that does not change: parsed once, not every half minute on a machine that has two cores.
        "dag_processor": {"min_file_process_interval": 3600, "refresh_interval": 3600},
        "logging": {
            "base_log_folder": home / "logs",
            "worker_log_server_port": worker_logs,
            "trigger_log_server_port": trigger_logs,
        },
        "usage_data_collection": {"enabled": False},
    }
    return {
        f"AIRFLOW__{section}__{name}".upper(): str(value)
        for section, values in settings.items()
        for name, value in values.items()
    }
