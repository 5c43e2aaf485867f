"""Glue crawlers: definitions, and crawls that read real objects."""
