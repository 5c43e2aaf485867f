"""The lease of a lakehouse's publishers: one of them at a time changes what is public.

It is an object in S3, taken, renewed and given back by conditional PUTs. Its age is told by S3's own clock. A publisher
that died leaves a lease that ends by itself, and in it the record that the next one must finish first.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

from airflow_lakehouse_provider.publishing import objects
from airflow_lakehouse_provider.publishing.names import Places, PublishingError
from airflow_lakehouse_provider.s3_uri import split_s3_uri

# A lease that was not renewed for so long is free. Its holder stops writing well before.
LEASE_SECONDS = 60.0
_RENEW_SECONDS = 10.0
_STOP_SECONDS = 40.0
_POLL_SECONDS = (0.2, 2.0)


class LeaseError(PublishingError):
    """Another publisher holds the lease, or may hold it as it was not renewed in time: try again later."""


class Lease:
    """A context in which this process alone publishes.

    :param s3: a boto3 client
    :param purpose: what it is held for, for those who wait
    :param wait: seconds to wait for it
    :param log: called with a line when it has to wait
    :ivar unfinished: the address of a record that its last holder did not finish; None where there is none
    :raises LeaseError: when entered: another publisher holds it for longer than ``wait``
    """

    def __init__(
        self, s3: Any, places: Places, purpose: str, *, wait: float = 3600.0, log: Callable[[str], None] | None = None
    ) -> None:
        self._s3 = s3
        self._uri = f"{places.publications}/_lease.json"
        self._purpose = purpose
        self._wait = wait
        self._log = log or (lambda _: None)
        self._owner = secrets.token_hex(8)
        self._etag = ""
        self._renewed = 0.0
        self._lost = False
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._holder: dict[str, Any] | None = None
        self.unfinished: str | None = None

    def __enter__(self) -> Lease:
        deadline = time.monotonic() + self._wait
        told = False
        while not self._take():
            holder = self._holder or {}
            if time.monotonic() > deadline:
                raise LeaseError(
                    f"another publisher holds {self._uri} for longer than {self._wait:.0f} seconds: "
                    f"{holder.get('purpose')}. Try again when it has ended."
                )
            if not told:
                told = True
                self._log(f"Waiting for another publisher: {holder.get('purpose')}")
            time.sleep(secrets.SystemRandom().uniform(*_POLL_SECONDS))
        threading.Thread(target=self._keep, name="publishing-lease", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._writing:
            if not self._lost:
                content = {"owner": None, "record": self.unfinished, "renewal": secrets.token_hex(8)}
                objects.write(self._s3, self._uri, objects.line(content), only_if=self._etag)

    def remember(self, record: str | None) -> None:
        """Name the record that is being carried out, for whoever comes after a crash; None: it is finished.

        :raises LeaseError: it was lost
        """
        self.unfinished = record
        if not self._renew():
            self._lose()
        self.check()

    def check(self) -> None:
        """Return if this process may still write.

        :raises LeaseError: it may not
        """
        if self._lost or time.monotonic() - self._renewed > _STOP_SECONDS:
            self._lose()

    def _lose(self) -> None:
        self._lost = True
        raise LeaseError(f"the lease {self._uri} was lost: S3 could not be reached for {_STOP_SECONDS:.0f} seconds")

    def _take(self) -> bool:
        began = time.monotonic()
        etag: str | None = "*"
        bucket, key = split_s3_uri(self._uri)
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key)
        except self._s3.exceptions.NoSuchKey:
            self._holder = None
        else:
            self._holder = json.loads(answer["Body"].read())
            assert self._holder is not None
            etag = answer["ETag"]
            served = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            age = (served - answer["LastModified"]).total_seconds()
            if self._holder["owner"] is not None and age <= LEASE_SECONDS:
                return False
        unfinished = (self._holder or {}).get("record")
        taken = objects.write(self._s3, self._uri, self._content(unfinished), only_if=etag)
        if taken is None:
            return False
        self._etag, self._renewed, self.unfinished = taken, began, unfinished
        return True

    def _content(self, record: str | None) -> bytes:
        # Each renewal is another object: by its ETag a lease that was just renewed is not taken over.
        renewal = secrets.token_hex(8)
        return objects.line({"owner": self._owner, "purpose": self._purpose, "record": record, "renewal": renewal})

    def _renew(self) -> bool:
        with self._writing:
            began = time.monotonic()
            renewed = objects.write(self._s3, self._uri, self._content(self.unfinished), only_if=self._etag)
            if renewed is None:
                return False
            self._etag, self._renewed = renewed, began
            return True

    def _keep(self) -> None:
        while not self._ended.wait(_RENEW_SECONDS):
            try:
                if not self._ended.is_set() and not self._renew():
                    self._lost = True
                    return
            except Exception as error:  # of AWS or of the network: check() gives up when it lasts
                self._log(f"The lease could not be renewed: {error}")
