"""Running dbt and understanding what it says. But for profile.py free of Airflow, and never imports dbt."""
