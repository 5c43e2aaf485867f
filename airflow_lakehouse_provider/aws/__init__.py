"""What AWS means to a monthly lakehouse: job runs, crawls, their states, errors and addresses. Free of Airflow."""
