"""The publications as a table in Athena: one row for each record, in production's schema."""

from __future__ import annotations

from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.names import Places, PublishingError, TableName

NAME = "publications"
_TEXT, _TEXTS = "string", "array<string>"
_COLUMNS = {
    **{"unit": _TEXT, "generation": "int", "kind": _TEXT, "audit": _TEXT, "state": _TEXT, "recorded_at": _TEXT},
    **{"gate": _TEXT, "gate_message": _TEXT, "failed_tests": _TEXTS, "accepted": _TEXTS, "accepted_by": _TEXT},
    **{"reason": _TEXT, "run": _TEXT, "restores": "int"},
}


def make_table(glue: Catalogue, schema: str, places: Places) -> None:
    """Create the table of publications unless it is there.

    :param schema: production's Glue database
    :raises PublishingError: there is a table of that name that shows something else
    """
    name = TableName(schema, NAME)
    found = glue.table(name)
    if found is not None:
        place = (found.get("StorageDescriptor") or {}).get("Location", "").rstrip("/")
        if place != places.publications:
            raise PublishingError(
                f"{name} is a table at {place}, and the publications lie at {places.publications}: rename that table"
            )
        return
    glue.create_table(
        schema,
        {
            "Name": NAME,
            "Description": "Publications, rollbacks, and gates that failed (airflow-lakehouse-provider)",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "json"},
            "PartitionKeys": [],
            "StorageDescriptor": {
                "Columns": [{"Name": column, "Type": type_} for column, type_ in _COLUMNS.items()],
                "Location": places.publications,
                "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe", "Parameters": {}},
            },
        },
        exists_ok=True,
    )
