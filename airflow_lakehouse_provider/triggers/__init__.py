"""Triggers: thin waits in the triggerer over airflow_lakehouse_provider.aws."""
