# dbt reads the cleaned zone and owns the marts: their tables and the curated zone's objects.

locals {
  # Of tables: each asks for the table, its database and the catalogue.
  # https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
  read_tables    = ["glue:BatchGetPartition", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable"]
  own_tables     = ["glue:CreateTable", "glue:DeleteTable", "glue:GetTables"]
  old_versions   = ["glue:DeleteTableVersion", "glue:GetTableVersions", "glue:UpdateTable"]
  own_partitions = ["glue:BatchCreatePartition", "glue:BatchDeletePartition", "glue:CreatePartition", "glue:UpdatePartition"]

  # Running queries, and reading what they answered, in one work group.
  queries = {
    for who, group in { dbt = local.l.work_group.arn, analyst = local.l.analyst_work_group.arn } : who => [
      {
        sid = "Queries"
        actions = [
          "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup", "athena:StartQueryExecution",
          "athena:StopQueryExecution",
        ]
        resources = [group]
      },
      {
        sid       = "DataCatalog"
        actions   = ["athena:GetDataCatalog"]
        resources = [local.l.data_catalog]
      },
    ]
  }

  # What a run leaves for the next try, and where dbt runs in Glue: project and request there, artifacts back.
  hand_over = [
    {
      sid       = "HandOver"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${local.artifacts.root_arn}${local.l.folders.dbt}*"]
    },
    {
      # Without it S3 answers 403 instead of 404 for what is not there yet. HeadObject carries no prefix.
      sid       = "HandOverList"
      actions   = ["s3:ListBucket"]
      resources = [local.artifacts.bucket_arn]
      when      = { "StringLikeIfExists s3:prefix" = ["${local.artifacts.prefix}${local.l.folders.dbt}*"] }
    },
  ]

  # Stopping what a dbt that was killed has left running.
  sweep = [
    {
      sid       = "Sweep"
      actions   = ["athena:BatchGetQueryExecution", "athena:ListQueryExecutions"]
      resources = [local.l.work_group.arn]
    },
  ]

  # dbt's role stops its queries anyway.
  stop_sweep = [
    {
      sid       = "StopSweep"
      actions   = ["athena:StopQueryExecution"]
      resources = [local.l.work_group.arn]
    },
  ]

  dbt = concat(
    local.queries.dbt,
    local.sweep,
    local.hand_over,
    [
      {
        sid       = "Catalogue"
        actions   = concat(local.read_tables, local.own_tables, local.old_versions, local.own_partitions, ["glue:CreateDatabase", "glue:GetDatabase", "glue:GetDatabases"])
        resources = [local.l.catalog]
      },
      {
        # The default database: https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
        sid       = "Databases"
        actions   = ["glue:GetDatabase"]
        resources = [for database in ["default", local.l.databases.cleaned, local.l.databases.marts, local.l.databases.audit] : "${local.l.database}/${database}"]
      },
      {
        sid       = "ReadCleanedTables"
        actions   = local.read_tables
        resources = ["${local.l.database}/${local.l.databases.cleaned}", "${local.l.table}/${local.l.databases.cleaned}/*"]
      },
      {
        sid       = "OwnMarts"
        actions   = concat(local.read_tables, local.own_tables, local.old_versions, local.own_partitions)
        resources = ["${local.l.database}/${local.l.databases.marts}", "${local.l.table}/${local.l.databases.marts}/*"]
      },
      {
        # Rows that tests refused, where store_failures is on: dbt makes the database.
        sid       = "OwnFailures"
        actions   = concat(["glue:GetTable"], local.own_tables)
        resources = ["${local.l.database}/${local.l.databases.audit}", "${local.l.table}/${local.l.databases.audit}/*"]
      },
      {
        sid       = "FailuresDatabase"
        actions   = ["glue:CreateDatabase"]
        resources = ["${local.l.database}/${local.l.databases.audit}"]
      },
      {
        sid       = "ListCleaned"
        actions   = ["s3:ListBucket"]
        resources = [local.cleaned.bucket_arn]
        when      = local.listing.cleaned
      },
      {
        sid       = "ReadCleaned"
        actions   = ["s3:GetObject"]
        resources = [local.cleaned.objects_arn]
      },
      {
        sid       = "ListCurated"
        actions   = ["s3:ListBucket"]
        resources = [local.curated.bucket_arn]
        when      = local.listing.curated
      },
      {
        sid       = "OwnCurated"
        actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        resources = [local.curated.objects_arn]
      },
      {
        sid       = "ListResults"
        actions   = ["s3:ListBucket"]
        resources = [local.results.bucket_arn]
        when      = { "StringLike s3:prefix" = ["${local.results.prefix}dbt/*"] }
      },
      {
        sid       = "Results"
        actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        resources = ["${local.results.root_arn}dbt/*"]
      },
      {
        sid       = "Locations"
        actions   = ["s3:GetBucketLocation"]
        resources = distinct([local.cleaned.bucket_arn, local.curated.bucket_arn, local.results.bucket_arn])
      },
      {
        sid       = "Uploads"
        actions   = ["s3:ListBucketMultipartUploads"]
        resources = distinct([local.curated.bucket_arn, local.results.bucket_arn])
      },
    ],
    [for grant in local.job_common.dbt : grant if local.l.dbt_job != null],
  )
}
