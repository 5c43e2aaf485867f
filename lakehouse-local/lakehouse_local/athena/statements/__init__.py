"""Statements: classified, parsed once, and carried out. Hive's DDL is in ddl/, the compiler of queries in sql/."""
