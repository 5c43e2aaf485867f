"""Athena on one machine: query executions, DDL and results over DuckDB."""
