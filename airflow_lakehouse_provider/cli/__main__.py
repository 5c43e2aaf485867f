"""`python -m airflow_lakehouse_provider.cli`: the same as `lakehouse`."""

from airflow_lakehouse_provider.cli.main import lakehouse

if __name__ == "__main__":
    lakehouse(prog_name="lakehouse")
