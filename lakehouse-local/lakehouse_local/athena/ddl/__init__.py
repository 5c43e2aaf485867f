"""Hive's DDL as Athena takes it, and its utility statements: read when a query starts, carried out on the catalogue."""
