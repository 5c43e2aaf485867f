"""Hive tables' files: their formats, the SerDes of text, the schemas of Parquet, and DuckDB queries that read them."""
