# dbt reads the cleaned zone and owns the marts: their tables and the curated zone's objects. The same role publishes what
# dbt built under the gate, and sweeps; dbt's own work under the gate is the fence's (fence.tf).

locals {
  # Of tables: each asks for the table, its database and the catalogue.
  # https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
  read_tables    = ["glue:BatchGetPartition", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable"]
  own_tables     = ["glue:CreateTable", "glue:DeleteTable", "glue:GetTables", "glue:UpdateTable"]
  look           = ["glue:GetPartitions", "glue:GetTables"]
  old_versions   = ["glue:DeleteTableVersion", "glue:GetTableVersions"] # of models with ha, which the gate refuses
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

  # Of Athena's engine, in whichever role it writes: results, and where its tables lie.
  query_results = [
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
  ]

  lists = [
    {
      sid       = "ListCleaned"
      actions   = ["s3:ListBucket"]
      resources = [local.cleaned.bucket_arn]
      when      = local.listing.cleaned
    },
    {
      sid       = "ListCurated"
      actions   = ["s3:ListBucket"]
      resources = [local.curated.bucket_arn]
      when      = local.listing.curated
    },
  ]

  # Names alone. AWS asks for the databases besides the catalogue.
  # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsglue.html
  database_names = [
    {
      sid       = "DatabaseNames"
      actions   = ["glue:GetDatabases"]
      resources = [local.l.catalog, "${local.l.database}/*"]
    },
  ]

  attempts_arns = ["${local.l.database}/${local.l.databases.attempts}", "${local.l.table}/${local.l.databases.attempts}/*"]

  dbt = concat(
    local.queries.dbt,
    local.sweep,
    local.hand_over,
    local.database_names,
    [
      {
        sid       = "Catalogue"
        actions   = concat(local.read_tables, local.own_tables, local.old_versions, local.own_partitions, ["glue:CreateDatabase", "glue:GetDatabase"])
        resources = [local.l.catalog]
      },
      {
        # The default database: https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
        sid       = "Databases"
        actions   = ["glue:GetDatabase"]
        resources = [for database in ["default", local.l.databases.cleaned, local.l.databases.marts, local.l.databases.failures] : "${local.l.database}/${database}"]
      },
      {
        # Of every database: the sweeper deletes no file that any table points at, whoever made the table.
        sid       = "WhatPointsAtFiles"
        actions   = local.look
        resources = ["${local.l.database}/*", "${local.l.table}/*"]
      },
      {
        sid       = "ReadCleanedTables"
        actions   = setsubtract(local.read_tables, local.look)
        resources = ["${local.l.database}/${local.l.databases.cleaned}", "${local.l.table}/${local.l.databases.cleaned}/*"]
      },
      {
        sid       = "OwnMarts"
        actions   = setsubtract(concat(local.read_tables, local.own_tables, local.old_versions, local.own_partitions), local.look)
        resources = ["${local.l.database}/${local.l.databases.marts}", "${local.l.table}/${local.l.databases.marts}/*"]
      },
      {
        # Rows that tests refused, where store_failures is on: dbt makes the database.
        sid       = "OwnFailures"
        actions   = ["glue:CreateTable", "glue:DeleteTable", "glue:GetTable"]
        resources = ["${local.l.database}/${local.l.databases.failures}", "${local.l.table}/${local.l.databases.failures}/*"]
      },
      {
        sid       = "FailuresDatabase"
        actions   = ["glue:CreateDatabase"]
        resources = ["${local.l.database}/${local.l.databases.failures}"]
      },
      {
        sid       = "ReadCleaned"
        actions   = ["s3:GetObject"]
        resources = [local.cleaned.objects_arn]
      },
      {
        # Records, leases and attempts too, which are put on a condition.
        sid       = "OwnCurated"
        actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        resources = [local.curated.objects_arn]
      },
    ],
    local.lists,
    local.query_results,
    [for grant in local.job_common.dbt : grant if local.l.dbt_job != null],
    [for grant in local.gate : grant if local.l.fence_role != null],
  )

  # Around dbt's build: cloning production into an audit schema, reading from there what is published, and removing it.
  gate = [
    {
      sid       = "Fence"
      actions   = ["sts:AssumeRole"]
      resources = [try(local.l.fence_role.arn, "none")]
    },
    {
      sid       = "Attempts"
      actions   = ["glue:BatchCreatePartition", "glue:CreateTable", "glue:GetTable"]
      resources = local.attempts_arns
    },
    {
      sid       = "AttemptsDatabase"
      actions   = ["glue:CreateDatabase", "glue:GetDatabase"]
      resources = ["${local.l.database}/${local.l.databases.attempts}"]
    },
    {
      # With a database go its tables.
      sid       = "SweepAttempts"
      actions   = ["glue:DeleteDatabase"]
      resources = concat([local.l.catalog], local.attempts_arns)
    },
  ]
}
