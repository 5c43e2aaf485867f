"""The cleaning of a month of New York's taxi trips: read, cast, judge, publish."""
