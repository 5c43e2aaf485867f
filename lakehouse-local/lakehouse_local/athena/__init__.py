"""Amazon Athena on one machine: statements in Athena's SQL, carried out by DuckDB on the Glue Data Catalog and S3."""
