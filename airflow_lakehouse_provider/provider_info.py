"""The provider's metadata for Airflow. Free of Airflow: since 3.2 it is read before Airflow is configured."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    from airflow_lakehouse_provider import __version__

    return {
        "package-name": "airflow-lakehouse-provider",
        "name": "Lakehouse",
        "description": "Monthly lakehouses on AWS: Glue jobs, crawlers and dbt on Athena, each month once.",
        "versions": [__version__],
        "extra-links": [
            f"airflow_lakehouse_provider.{link}"
            for link in (
                *("links.glue.GlueJobRunLink", "links.glue.GlueJobRunLogsLink", "links.glue.GlueCrawlerLink"),
                *("links.dbt.AthenaQueryLink", "links.dbt.DbtArtifactsLink", "links.dbt.DbtDocsLink"),
            )
        ],
    }
