"""Results of query executions: columns and rows of an outcome, kept and paged."""
