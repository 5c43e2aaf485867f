"""Glue jobs: definitions, and job runs as real processes."""
