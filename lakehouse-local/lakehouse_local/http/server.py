"""The local AWS: one HTTP server on loopback for Glue, Athena and, through moto, every other service."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, make_server

from lakehouse_local.account import use_athena
from lakehouse_local.athena.api import Athena
from lakehouse_local.errors import AlreadyRunning, PortInUse
from lakehouse_local.glue.catalog.api import CatalogApi
from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.glue.crawlers.api import Crawlers
from lakehouse_local.glue.identity import RunIdentity
from lakehouse_local.glue.jobs.api import Jobs
from lakehouse_local.glue.tags import Tags
from lakehouse_local.http.front import Front
from lakehouse_local.http.wire import Caller, JsonService
from lakehouse_local.iam.access import AccessDenied
from lakehouse_local.iam.principals import TEMPORARY
from lakehouse_local.lock import RootLock
from lakehouse_local.moto import sessions
from lakehouse_local.moto.backends import MotoState, QuietRequestHandler
from lakehouse_local.moto.s3 import Installation
from lakehouse_local.options import check_account, check_port, check_region
from lakehouse_local.process import ACCOUNT, REGION, environment
from lakehouse_local.root_version import check_version
from lakehouse_local.s3 import store as s3

if TYPE_CHECKING:
    from lakehouse_local.iam.enforcement import Enforcement
    from lakehouse_local.iam.gate import Gate

log = logging.getLogger(__name__)

HOST = "127.0.0.1"


class LocalAws:
    """An AWS account on 127.0.0.1, with its state under ``root``; a context manager.

    Only one can run in a process at a time, because moto's state belongs to the process.

    :param root: a directory of its own: buckets are directories of it, objects plain files; made when missing
    :param port: TCP port on 127.0.0.1; 0 takes a free one
    :param region: the one region that it serves; calls signed for another are served too
    :param account_id: id of the one account, twelve digits
    :param enforce_iam: judge every call by IAM policies; ``environment`` is the root user's, which is never refused
    :param empty: start without the database ``default`` and the results bucket of the work group ``primary``
    :raises OptionError: port, region or account id is not allowed
    """

    _running = threading.Lock()

    def __init__(
        self,
        root: Path | str,
        *,
        port: int = 0,
        region: str = REGION,
        account_id: str = ACCOUNT,
        enforce_iam: bool = False,
        empty: bool = False,
    ) -> None:
        check_port("port", port)
        check_region("region", region)
        check_account("account_id", account_id)
        self.root = Path(root).resolve()
        self.region = region
        self.account_id = account_id
        self.store: s3.ObjectStore
        self.catalog: Catalog
        self._wanted_port = port
        self._enforce_iam = enforce_iam
        self._empty = empty
        self._enforcement: Enforcement | None = None
        self._ending: list[Callable[[], Any]] = []  # functions that undo the start, called last first
        self._port = 0

    @property
    def endpoint(self) -> str:
        """``http://127.0.0.1:PORT``, once started."""
        if not self._port:
            raise RuntimeError("the local AWS is not started")
        return f"http://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that send AWS tools here."""
        return environment(self.endpoint, self.region)

    def start(self) -> LocalAws:
        """Serve in the background.

        :raises AlreadyRunning: a local AWS runs in this process
        :raises PortInUse: another program listens on the port
        :raises RootInUse: another local AWS uses the root
        :raises StateError: the state under the root cannot be read
        """
        if not LocalAws._running.acquire(blocking=False):
            raise AlreadyRunning(
                "a local AWS runs in this process already: stop it first, "
                "or use lakehouse_local.process.LocalAwsProcess for another"
            )
        self._ending = [LocalAws._running.release]
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        listener = _listen(self._wanted_port)
        self._ending.append(listener.close)
        self._ending.append(RootLock(self.root).release)
        check_version(self.root)
        sessions.seconds()  # raises for a value that is not allowed
        self.store = s3.ObjectStore(self.root)
        self._ending.append(self.store.close)
        installation = Installation(self.store)
        self._ending.append(installation.remove)
        state_dir = self.root / s3.STATE
        moto_state = MotoState(state_dir / "moto")
        self._ending.append(moto_state.close)
        moto_state.load()
        installation.sweep()
        self._ending.append(installation.save)
        self.catalog = Catalog(state_dir / "catalog.sqlite")
        self._ending.append(self.catalog.close)

        def write_log(region: str, group: str, stream: str, lines: list[str]) -> None:
            moto_state.write_log_events(self.account_id, region, group, stream, lines)

        tags = Tags(state_dir / "tags.sqlite")
        self._ending.append(tags.close)
        athena = Athena(state_dir, self.store, self.catalog)
        self._ending.append(athena.close)
        services: list[JsonService] = [tags, CatalogApi(self.catalog), athena]
        for make_service in (
            lambda: Jobs(state_dir, self.store, write_log, self._run_identity),
            lambda: Crawlers(state_dir, self.store, self.catalog, write_log, self._run_identity),
        ):
            service: JsonService = make_service()
            self._ending.append(service.close)
            services.append(service)
        gate = self._gate(state_dir, athena)
        location = {"region": self.region, "account_id": self.account_id}
        front = Front(services, tags, installation, moto_state, gate=gate, **location)
        self._ending.append(front.close)
        server = make_server(HOST, 0, front, threaded=True, request_handler=QuietRequestHandler, fd=listener.fileno())
        self._port = listener.getsockname()[1]
        front.endpoint = self.endpoint
        self._serve(server)
        if not self._empty:
            use_athena(self.endpoint, self.region)

    def _gate(self, state_dir: Path, athena: Athena) -> Gate:
        from lakehouse_local.iam.account import Account
        from lakehouse_local.iam.enforcement import CALLS, Enforcement
        from lakehouse_local.iam.gate import Gate

        account = Account(self.region, self.account_id, work_group_of_query=athena.work_group_of)
        self._enforcement = Enforcement(account, state_dir / CALLS, everything=self._enforce_iam)
        return Gate(self._enforcement, self.store)

    def _serve(self, server: BaseWSGIServer) -> None:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="local-aws", daemon=True)
        thread.start()

        def end() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        self._ending.append(end)

    def stop(self) -> None:
        """Stop everything that was started, and save; a second call does nothing."""
        while self._ending:
            end = self._ending.pop()
            try:
                end()
            except Exception:
                log.exception("the local AWS did not stop cleanly")
        self._port = 0

    def __enter__(self) -> LocalAws:
        return self.start()

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run_identity(self, caller: Caller, role: str, session_name: str) -> RunIdentity:
        """Return the identity of a Glue run: a session of its role with --enforce-iam, otherwise its caller.

        Of a caller that is a session the run does not have the limits: its role is another one, and may do anything.
        """
        if self._enforcement is None or not self._enforce_iam:
            temporary = caller.access_key_id.startswith(TEMPORARY)
            return RunIdentity(
                self.environment if temporary else {**self.environment, "AWS_ACCESS_KEY_ID": caller.access_key_id}
            )
        try:
            session = self._enforcement.assume(role, session_name, "glue.amazonaws.com")
        except AccessDenied:
            return RunIdentity({}, refusal=f"Role {role} should be given assume role permissions for Glue Service.")
        return RunIdentity({**self.environment, **session.environment}, self._enforcement.in_session(session))


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} of {HOST} is in use: stop what listens there, or choose another port (0 is a free one)",
            ) from None
        if error.errno == errno.EACCES:
            raise PortInUse(f"port {port} may not be opened by this user: choose one above 1023") from None
        raise
    return listener
