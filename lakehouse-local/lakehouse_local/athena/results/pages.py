"""Stored results: written to the output location, kept for GetQueryResults, and paged as Athena pages them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from lakehouse_local.athena.results.outcome import Outcome, Row, column_info
from lakehouse_local.http.wire import AwsError
from lakehouse_local.s3.store import ObjectStore

PAGE = 1000  # most rows of a page, the header included

Page = tuple[list[dict[str, Any]], list[Row], "str | None"]  # columns, rows, the next page's token


class Results:
    """The rows of finished executions, one JSON document a line.

    :param folder: part of the state directory
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def write(self, execution_id: str, outcome: Outcome, location: str, store: ObjectStore) -> None:
        """Keep the rows, and write the CSV (text for utilities) and its metadata to the output location."""
        public, own = store.scratch_file(), store.scratch_file()
        form = _csv if location.endswith(".csv") else _lines
        infos = [column_info(column) for column in outcome.columns]
        try:
            with public.open("w", encoding="utf-8", newline="") as written, own.open("w", encoding="utf-8") as kept:
                kept.write(json.dumps(infos) + "\n")
                if outcome.header:
                    names: Row = [column.name for column in outcome.columns]
                    written.write(_csv([names]))
                    kept.write(json.dumps(names) + "\n")
                for batch in outcome.rows:
                    written.write(form(batch))
                    kept.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch)
            store.write(location, public)
            store.write(f"{location}.metadata", json.dumps(infos).encode())
            own.replace(self._folder / f"{execution_id}.jsonl")
        finally:
            public.unlink(missing_ok=True)
            own.unlink(missing_ok=True)

    def page(self, execution_id: str, token: str | None, limit: int) -> Page:
        """Return columns, rows from the token on, and the next page's token.

        :raises AwsError: InvalidRequestException for a token that no earlier page returned
        """
        if token is not None and not (token.isascii() and token.isdigit()):
            raise AwsError("InvalidRequestException", f"NextToken {token!r} was not returned by an earlier page")
        start = int(token or 0)
        with (self._folder / f"{execution_id}.jsonl").open(encoding="utf-8") as kept:
            columns = json.loads(kept.readline())
            lines = list(islice(kept, start, start + limit + 1))
        rows = [json.loads(line) for line in lines[:limit]]
        return columns, rows, str(start + limit) if len(lines) > limit else None


def _csv(rows: Iterable[Row]) -> str:
    """Return rows as Athena's CSV: every value quoted, NULL as an empty cell."""
    return "".join(",".join(map(_quoted, row)) + "\n" for row in rows)


def _quoted(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def _lines(rows: Iterable[Row]) -> str:
    return "".join("\t".join(value or "" for value in row) + "\n" for row in rows)
