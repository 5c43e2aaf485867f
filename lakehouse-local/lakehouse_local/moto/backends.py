"""moto's backends: their state under the root, and the WSGI application that serves them."""

from __future__ import annotations

import importlib
import io
import logging
import marshal
import pickle
import threading
import time
import types
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import moto
from moto.backends import get_backend as _get_backend
from moto.backends import list_of_moto_modules
from moto.core.base_backend import BackendDict, BaseBackend
from moto.moto_server import werkzeug_app

from lakehouse_local.errors import StateError
from lakehouse_local.http.wire import epoch
from lakehouse_local.moto import sessions, terraform_fixes

log = logging.getLogger(__name__)

get_backend: Callable[[str], Any] = _get_backend  # type: ignore[assignment]  # overloaded for each service
_in_use: list[Any] = BackendDict._instances  # type: ignore[misc]

OURS = ("glue", "athena")  # moto has backends of these names, which are not used
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_LOG_EVENTS_AT_ONCE = 10_000


def application() -> Callable[..., Iterable[bytes]]:
    """Return moto as a WSGI application, without CORS headers for other origins."""
    terraform_fixes.install()
    sessions.install()
    werkzeug_app.DISABLE_GLOBAL_CORS = True  # type: ignore[attr-defined]
    return werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)


class QuietRequestHandler(werkzeug_app.MotoRequestHandler):  # type: ignore[misc,name-defined]
    """moto's request handler, which keeps the case of metadata names, with one debug line of log per request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        log.debug('"%s" %s', self.requestline, code)

    def log(self, type: str, message: str, *args: Any) -> None:
        log.log(logging.ERROR if type == "error" else logging.DEBUG, message.rstrip(), *args)


class MotoState:
    """The state of moto's backends: saved shortly after a service changed, and as a whole when it is closed.

    Each service has a pickle of its own in the folder. A service that cannot be pickled is not saved, with one warning.
    """

    DELAY = 0.2  # seconds between the first change and saving

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._changed: set[str] = set()
        self._wake = threading.Condition()
        self._closed = False
        self._saving = threading.Lock()
        self._unsaved: set[str] = set()
        self._logs = threading.Lock()
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Restore what an earlier run saved, in place of moto's state in this process.

        :raises StateError: a file cannot be read
        """
        _empty()
        for path in sorted(self._folder.glob("*.pickle")):
            try:
                for account, regions in _unpickled(path).items():
                    for region, backend in regions.items():
                        dict.__setitem__(get_backend(path.stem)[account], region, backend)
            except Exception as error:
                raise StateError(
                    f"{path} cannot be read by moto {moto.__version__}: {error}. Use the version that wrote it, "
                    "delete the file (its service starts empty), or start with another root."
                ) from error
        from moto.s3.models import s3_backends

        for account, partition, s3_backend in s3_backends.iter_backends():
            for name in s3_backend.buckets:  # type: ignore[attr-defined]
                s3_backends.bucket_accounts[name] = (partition, account)
        self._thread = threading.Thread(target=self._run, name="moto-state", daemon=True)
        self._thread.start()

    def changed(self, service: str) -> None:
        """Save a service soon, because it may have changed."""
        with self._wake:
            self._changed.add(service)
            self._wake.notify()

    def save(self, service: str) -> None:
        """Save a service's backends now."""
        if service in OURS or service not in list_of_moto_modules():
            return
        backends = get_backend(service)
        if not isinstance(backends, BackendDict):
            return
        state = {account: dict(dict.items(regions)) for account, regions in list(dict.items(backends))}
        state = {account: regions for account, regions in state.items() if regions}
        if not state:
            return
        with self._saving:
            try:
                content = _pickled(service, {"moto": moto.__version__, "backends": state})
            except Exception as error:  # any of some hundred services may contain an object that cannot be pickled
                if service not in self._unsaved:
                    self._unsaved.add(service)
                    log.warning("%s is not saved and will be lost at a restart: %s", service, error)
                return
            scratch = self._folder / f"{service}.new"
            scratch.write_bytes(content)
            scratch.replace(self._folder / f"{service}.pickle")

    def close(self) -> None:
        """Save every service that is in use, and leave moto empty."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        for backends in list(_in_use):
            self.save(backends.service_name)
        _empty()

    def write_log_events(self, account: str, region: str, group: str, stream: str, lines: list[str]) -> None:
        """Append lines to a stream of CloudWatch Logs; create group and stream if they are missing."""
        from moto.logs.models import logs_backends

        now = int(epoch() * 1000)
        with self._logs:
            backend = logs_backends[account][region]
            if group not in backend.groups:
                backend.create_log_group(group, {})
            backend.ensure_log_stream(group, stream)
            for start in range(0, len(lines), _LOG_EVENTS_AT_ONCE):
                events = [{"timestamp": now, "message": line} for line in lines[start : start + _LOG_EVENTS_AT_ONCE]]
                backend.put_log_events(group, stream, events)
        self.changed("logs")

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._changed and not self._closed:
                    self._wake.wait()
                if self._closed:
                    return
                self._wake.wait(self.DELAY)
                services, self._changed = self._changed, set()
            began = time.monotonic()
            for service in services:
                self.save(service)
            # Saving takes a tenth of the time at most, however large the state is.
            with self._wake:
                if not self._closed:
                    self._wake.wait_for(lambda: self._closed, timeout=9 * (time.monotonic() - began))


def _unpickled(path: Path) -> dict[str, dict[str, Any]]:
    """Return account -> region -> backend, from a file that this module wrote into the user's own root."""
    backends: dict[str, dict[str, Any]] = pickle.loads(path.read_bytes())["backends"]  # noqa: S301
    return backends


def _empty() -> None:
    # Not BackendDict.reset(): it disposes of S3's keys, which here are files to keep.
    from moto.s3.models import s3_backends

    for backends in list(_in_use):
        backends.clear()
    _in_use.clear()
    s3_backends.bucket_accounts.clear()


def _pickled(service: str, content: Any) -> bytes:
    # A backend that changes while it is pickled raises a RuntimeError; a later try succeeds.
    for attempt in range(5):
        out = io.BytesIO()
        try:
            _Pickler(service, out).dump(content)
        except RuntimeError:
            if attempt == 4:
                raise
            time.sleep(0.02)
        else:
            return out.getvalue()
    raise AssertionError


class _Pickler(pickle.Pickler):
    """A pickler for moto's models, which contain locks, private keys, lambdas and other services' backends."""

    def __init__(self, service: str, out: io.BytesIO) -> None:
        super().__init__(out, protocol=pickle.HIGHEST_PROTOCOL)
        self._service = service

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, _LOCKS):
            return (threading.Lock if isinstance(obj, _LOCKS[0]) else threading.RLock), ()
        if isinstance(obj, types.FunctionType) and "<lambda>" in obj.__qualname__ and obj.__closure__ is None:
            return _function, (obj.__module__, marshal.dumps(obj.__code__), obj.__defaults__)
        if isinstance(obj, BaseBackend) and (place := _place(obj)) and place[0] != self._service:
            return _backend, place
        if isinstance(obj, defaultdict) and type(obj) is not defaultdict:
            # Its constructor does not take a factory, which is the argument that defaultdict would pickle.
            return _default_dict, (type(obj), obj.default_factory), obj.__dict__, None, iter(dict.items(obj))
        private_bytes = getattr(obj, "private_bytes", None)
        if private_bytes is not None and not isinstance(obj, type):
            from cryptography.hazmat.primitives import serialization as form

            return _private_key, (private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()),)
        return NotImplemented


def _place(backend: BaseBackend) -> tuple[str, str, str] | None:
    for backends in _in_use:
        for account, region, candidate in backends.iter_backends():
            if candidate is backend:
                return backends.service_name, account, region
    return None


def _backend(service: str, account: str, region: str) -> Any:
    return get_backend(service)[account][region]


def _default_dict(class_: Any, factory: Any) -> Any:
    made = class_.__new__(class_)
    defaultdict.__init__(made, factory)
    return made


def _function(module: str, code: bytes, defaults: tuple[Any, ...] | None) -> Any:
    return types.FunctionType(marshal.loads(code), vars(importlib.import_module(module)), argdefs=defaults)  # noqa: S302


def _private_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pem, password=None)
