"""The only code that differs between Airflow 2.10 and 3.x, and the only place that asks which version runs."""
