"""Views as Athena stores them: a VIRTUAL_VIEW table whose text is base64 of JSON that Trino reads.

Source: io.trino.plugin.hive.ViewReaderUtil, https://docs.aws.amazon.com/athena/latest/ug/views.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from lakehouse_local.athena.sql import Column, SqlError, hive_type

_PREFIX, _SUFFIX = "/* Presto View: ", " */"


def table_input(name: str, query: str, columns: Sequence[Column], *, catalog: str, schema: str) -> dict[str, Any]:
    """Return the Glue TableInput of a view.

    :param catalog: of names in the query without a catalog; `schema` likewise
    """
    text = {
        "originalSql": query,
        "catalog": catalog,
        "schema": schema,
        "columns": [{"name": column.name, "type": column.type} for column in columns],
    }
    encoded = base64.b64encode(json.dumps(text).encode()).decode()
    return {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "ViewOriginalText": f"{_PREFIX}{encoded}{_SUFFIX}",
        "ViewExpandedText": "/* Presto View */",
        "StorageDescriptor": {
            "Columns": [{"Name": column.name, "Type": _type(column.type)} for column in columns],
            "Location": "",
            "InputFormat": "",
            "OutputFormat": "",
            "SerdeInfo": {},
        },
    }


def definition(table: dict[str, Any]) -> dict[str, Any]:
    """Return `originalSql`, `catalog`, `schema` and `columns` of a view's Glue table.

    :raises SqlError: INVALID_VIEW when the text is not Athena's
    """
    text = table.get("ViewOriginalText", "")
    try:
        found = json.loads(base64.b64decode(text.removeprefix(_PREFIX).removesuffix(_SUFFIX), validate=True))
        return {**found, "originalSql": str(found["originalSql"])}
    except (ValueError, KeyError, TypeError):
        name = f"{table.get('DatabaseName')}.{table['Name']}"
        raise SqlError("INVALID_VIEW", f"Invalid view definition of '{name}': it was not made by Athena") from None


def _type(trino: str) -> str:
    """Return a column's type in the Data Catalog: string for those that Hive lacks, as in Athena."""
    try:
        return hive_type(trino)
    except SqlError:
        return "string"
