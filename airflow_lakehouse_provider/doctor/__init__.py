"""Checking what the pipeline needs before it needs it: on a laptop, or on a worker as the DAG lakehouse_self_check."""
