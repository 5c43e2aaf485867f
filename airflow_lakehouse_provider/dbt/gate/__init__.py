"""The gate: dbt builds into an audit schema that is a clone of production by pointers, and tests read it there."""
