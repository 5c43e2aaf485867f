"""What waits in the triggerer: thin triggers over airflow_lakehouse_provider.aws."""
