"""What scripts of AWS Glue import as ``awsglue``: the part of it that plain Spark jobs use.

A run's directory links here, so that a script finds the package under its name on AWS.
"""
