"""dbt on Athena: its command line, its process, its results. Imports neither dbt nor Airflow."""
