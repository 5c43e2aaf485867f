"""Links from a task to the AWS console and to what dbt left."""
