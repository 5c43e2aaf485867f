"""From the parse tree of a query to typed DuckDB SQL: names resolved, types checked, refusals in Trino's words."""
