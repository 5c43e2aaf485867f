"""Cleaning a month of New York's taxi trips: read, cast, judge, publish."""
