"""`lakehouse demo`: starts a real Airflow and the local AWS, runs months through the example DAG, sums up."""
