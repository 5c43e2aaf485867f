"""AWS Glue on one machine: the Data Catalog's API, job runs in real processes, crawls over real objects."""
