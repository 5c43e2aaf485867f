"""Publishing what dbt built, by pointers of the Glue Data Catalog: audit schemas, plans, records, rollback, sweep."""
