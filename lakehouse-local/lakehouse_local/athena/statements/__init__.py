"""Statements: told apart, checked, and carried out. Hive's DDL is in ddl/, queries are compiled in sql/."""
