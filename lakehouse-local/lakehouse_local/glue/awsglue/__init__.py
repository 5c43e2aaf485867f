"""The package ``awsglue`` of Glue's job scripts: the part of it that plain Spark jobs use.

A job run's directory links here, so that a script finds the package under its name on AWS. It runs in the script's
process and imports nothing of lakehouse_local.
"""
