"""Who may do what in the local AWS, judged as AWS's IAM judges it (``lakehouse local --enforce-iam``)."""
