# The most that any role of the lakehouse can ever do, whatever its own policy says. It gives nothing by itself.

locals {
  boundary = concat(
    [
      {
        sid = "Objects"
        actions = [
          "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetBucketLocation", "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:GetObject", "s3:GetObjectVersion",
          "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "s3:ListMultipartUploadParts",
          "s3:PutObject",
        ]
        resources = concat(local.buckets, [for bucket in local.buckets : "${bucket}/*"])
      },
      {
        sid = "Catalogue"
        actions = [
          "glue:BatchCreatePartition", "glue:BatchDeletePartition", "glue:BatchGetPartition", "glue:CreateDatabase",
          "glue:CreatePartition", "glue:CreateTable", "glue:DeleteTable", "glue:DeleteTableVersion", "glue:GetDatabase",
          "glue:GetPartition", "glue:GetTable", "glue:GetTableVersions", "glue:UpdatePartition", "glue:UpdateTable",
        ]
        resources = flatten([
          local.l.catalog,
          "${local.l.database}/default",
          [for name in values(local.l.databases) : ["${local.l.database}/${name}", "${local.l.table}/${name}/*"]],
        ])
      },
      {
        sid = "Jobs"
        actions = [
          "glue:BatchStopJobRun", "glue:GetCrawler", "glue:GetJob", "glue:GetJobRun", "glue:GetJobRuns",
          "glue:ListCrawls", "glue:StartCrawler", "glue:StartJobRun",
        ]
        resources = concat(local.jobs, [local.l.crawler.arn])
      },
      {
        sid = "Queries"
        actions = [
          "athena:BatchGetQueryExecution", "athena:GetDataCatalog", "athena:GetQueryExecution",
          "athena:GetQueryResults", "athena:GetWorkGroup", "athena:ListQueryExecutions", "athena:StartQueryExecution",
          "athena:StopQueryExecution",
        ]
        resources = [local.l.work_group.arn, local.l.analyst_work_group.arn, local.l.data_catalog]
      },
      {
        # Every database: that of its names, and of what points at files, is dbt's.
        sid       = "CatalogueLook"
        actions   = ["glue:GetDatabases", "glue:GetPartitions", "glue:GetTables"]
        resources = [local.l.catalog, "${local.l.database}/*", "${local.l.table}/*"]
      },
      {
        sid       = "Attempts"
        actions   = ["glue:DeleteDatabase"]
        resources = [local.l.catalog, "${local.l.database}/${local.l.databases.attempts}", "${local.l.table}/${local.l.databases.attempts}/*"]
      },
      {
        sid       = "Dbt"
        actions   = ["sts:AssumeRole"]
        resources = concat(["${local.l.role_arn_prefix}dbt"], local.fence)
      },
      {
        sid       = "Logs"
        actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:GetLogEvents", "logs:PutLogEvents"]
        resources = ["${local.l.logs}:${local.l.log_group_prefix}/*", "${local.l.logs}:/aws-glue/crawlers*"]
      },
      {
        sid       = "Keys"
        actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
        resources = ["${local.arn}:kms:${local.l.region}:*:key/*"]
        when      = { "StringEquals kms:ViaService" = ["s3.${local.l.region}.amazonaws.com"] }
      },
    ],
    [for grant in local.mwaa_boundary : grant if var.mwaa_environment != null],
  )

  mwaa_boundary = [
    {
      sid       = "Mwaa"
      actions   = ["airflow:PublishMetrics"]
      resources = ["${local.arn}:airflow:${local.l.region}:${local.l.account}:environment/${coalesce(var.mwaa_environment, "none")}"]
    },
    {
      # As module access says of each.
      sid       = "MwaaAccount"
      actions   = ["cloudwatch:PutMetricData", "logs:DescribeLogGroups", "s3:GetAccountPublicAccessBlock"]
      resources = ["*"]
    },
    {
      sid = "MwaaLogs"
      actions = [
        "logs:CreateLogGroup", "logs:CreateLogStream", "logs:GetLogEvents", "logs:GetLogGroupFields",
        "logs:GetLogRecord", "logs:GetQueryResults", "logs:PutLogEvents",
      ]
      resources = ["${local.l.logs}:airflow-${coalesce(var.mwaa_environment, "none")}-*"]
    },
    {
      sid = "MwaaQueue"
      actions = [
        "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl",
        "sqs:ReceiveMessage", "sqs:SendMessage",
      ]
      resources = ["${local.arn}:sqs:${local.l.region}:*:airflow-celery-*"]
    },
    {
      sid       = "MwaaQueueKey"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
      resources = ["${local.arn}:kms:${local.l.region}:*:key/*"]
      when      = { "StringLike kms:ViaService" = ["sqs.${local.l.region}.amazonaws.com"] }
    },
  ]
}
