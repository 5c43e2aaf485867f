# What MWAA itself needs of the role that its Airflow runs under.
# https://docs.aws.amazon.com/mwaa/latest/userguide/mwaa-create-role.html

locals {
  mwaa_logs = "${local.l.logs}:airflow-${coalesce(var.mwaa, "none")}-*"

  mwaa = [
    {
      sid       = "MwaaHealth"
      actions   = ["airflow:PublishMetrics"]
      resources = ["arn:${local.l.partition}:airflow:${local.l.region}:${local.l.account}:environment/${coalesce(var.mwaa, "none")}"]
    },
    {
      sid       = "MwaaCodeBucket"
      actions   = ["s3:GetBucketLocation", "s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration"]
      resources = [local.artifacts.bucket_arn]
    },
    {
      sid       = "MwaaCodeList"
      actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
      resources = [local.artifacts.bucket_arn]
      when      = { "StringLike s3:prefix" = ["${local.artifacts.prefix}${local.l.folders.mwaa}*"] }
    },
    {
      sid       = "MwaaCode"
      actions   = ["s3:GetObject", "s3:GetObjectVersion"]
      resources = ["${local.artifacts.root_arn}${local.l.folders.mwaa}*"]
    },
    {
      # Of the account, not of a bucket: s3:GetAccountPublicAccessBlock takes no resource.
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
      sid       = "MwaaAccountBlock"
      actions   = ["s3:GetAccountPublicAccessBlock"]
      resources = ["*"]
    },
    {
      sid = "MwaaLogs"
      actions = [
        "logs:CreateLogGroup", "logs:CreateLogStream", "logs:GetLogEvents", "logs:GetLogGroupFields",
        "logs:GetLogRecord", "logs:GetQueryResults", "logs:PutLogEvents",
      ]
      resources = [local.mwaa_logs, "${local.mwaa_logs}:*"]
    },
    {
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html (lists)
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html (metrics)
      sid       = "MwaaLogGroups"
      actions   = ["logs:DescribeLogGroups"]
      resources = ["*"]
    },
    {
      sid       = "MwaaMetrics"
      actions   = ["cloudwatch:PutMetricData"]
      resources = ["*"]
      when      = { "StringEquals cloudwatch:namespace" = ["AmazonMWAA"] }
    },
    {
      # Its Celery queue lies in an account of AWS's.
      sid = "MwaaQueue"
      actions = [
        "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl",
        "sqs:ReceiveMessage", "sqs:SendMessage",
      ]
      resources = ["arn:${local.l.partition}:sqs:${local.l.region}:*:airflow-celery-*"]
    },
    merge(
      {
        sid     = "MwaaQueueKey"
        actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
        when    = { "StringLike kms:ViaService" = ["sqs.${local.l.region}.amazonaws.com"] }
      },
      # The key that AWS owns is in no account that we could name: every key but ours.
      var.mwaa_kms_key_arn == null
      ? { not_resources = ["arn:${local.l.partition}:kms:*:${local.l.account}:key/*"], resources = null }
      : { not_resources = null, resources = [var.mwaa_kms_key_arn] },
    ),
  ]
}
