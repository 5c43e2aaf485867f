"""`lakehouse demo`: a real Airflow and the local AWS run months of the example DAG, and a summary is printed."""
