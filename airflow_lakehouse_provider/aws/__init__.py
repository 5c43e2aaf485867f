"""AWS semantics of a monthly lakehouse: job runs, crawls, their states, errors and addresses. Free of Airflow."""
