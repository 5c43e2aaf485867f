"""dbt on Athena: its command line, its process, its results. Never imports dbt, nor Airflow except in profile.py."""
