"""Hive's DDL as Athena has it, and utility statements: read at StartQueryExecution, run on the Data Catalog."""
