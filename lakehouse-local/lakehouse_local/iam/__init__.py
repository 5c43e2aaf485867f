"""Access control of the local AWS, as AWS's IAM decides it (``--enforce-iam``)."""
