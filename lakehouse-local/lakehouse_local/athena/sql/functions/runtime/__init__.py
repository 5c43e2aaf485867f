"""The functions of Trino's that DuckDB lacks: macros and Python functions, installed into a connection."""
