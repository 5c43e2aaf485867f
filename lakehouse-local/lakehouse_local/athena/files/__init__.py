"""Files of Hive tables: formats, text SerDes, Parquet schemas, and the DuckDB queries that read them."""
