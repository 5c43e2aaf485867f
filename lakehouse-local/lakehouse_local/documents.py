"""Documents in sqlite: the state of Athena and of Glue's jobs and crawlers, which a restart reads again."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class Documents:
    """JSON documents by kind and key, in the order in which they were created; safe to use from several threads.

    A document can have an owner (a run's job, a crawl's crawler), by which it is listed and deleted.

    :param path: the sqlite file; made when missing, with its directory
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=NORMAL",
            "CREATE TABLE IF NOT EXISTS documents (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
            " key TEXT NOT NULL, owner TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (kind, key))",
            "CREATE INDEX IF NOT EXISTS by_owner ON documents (kind, owner, ordinal)",
        ):
            self._connection.execute(statement)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def get(self, kind: str, key: str) -> Document | None:
        """Return a copy of the document; None if there is none."""
        rows = self._execute("SELECT body FROM documents WHERE kind = ? AND key = ?", kind, key)
        return json.loads(rows[0][0]) if rows else None

    def put(self, kind: str, key: str, document: Document, owner: str = "") -> None:
        """Write a document; one that exists keeps its position and its owner."""
        self._execute(
            "INSERT INTO documents (kind, key, owner, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            *(kind, key, owner, json.dumps(document)),
        )

    def delete(self, kind: str, key: str) -> None:
        self._execute("DELETE FROM documents WHERE kind = ? AND key = ?", kind, key)

    def delete_owned(self, kind: str, owner: str) -> None:
        """Delete an owner's documents of a kind."""
        self._execute("DELETE FROM documents WHERE kind = ? AND owner = ?", kind, owner)

    def all(self, kind: str) -> list[Document]:
        """Return every document of a kind, the oldest first."""
        rows = self._execute("SELECT body FROM documents WHERE kind = ? ORDER BY ordinal", kind)
        return [json.loads(body) for (body,) in rows]

    def newest(
        self, kind: str, owner: str, *, before: int | None = None, limit: int = -1
    ) -> list[tuple[int, Document]]:
        """Return an owner's documents, the newest first, each with its ordinal.

        :param before: an ordinal; only older documents are returned
        :param limit: the largest number of documents; -1 is no limit
        """
        rows = self._execute(
            "SELECT ordinal, body FROM documents WHERE kind = ? AND owner = ? AND ordinal < ?"
            " ORDER BY ordinal DESC LIMIT ?",
            *(kind, owner, (1 << 62) if before is None else before, limit),
        )
        return [(ordinal, json.loads(body)) for ordinal, body in rows]

    def _execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()
