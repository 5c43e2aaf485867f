"""The Glue Data Catalog: databases, tables, partitions, kept in sqlite."""
