# dbt under the gate: a session of this role, narrowed to one audit schema by the operator's session policy. The role alone
# keeps it from production: it reads, and writes where audit schemas lie.

locals {
  fence = concat(
    local.queries.dbt,
    local.database_names,
    [
      {
        sid       = "Catalogue"
        actions   = concat(local.read_tables, local.own_tables, local.own_partitions, ["glue:CreateDatabase", "glue:GetDatabase"])
        resources = [local.l.catalog]
      },
      {
        # As dbt's.
        sid       = "Databases"
        actions   = ["glue:GetDatabase"]
        resources = [for database in ["default", local.l.databases.cleaned, local.l.databases.marts] : "${local.l.database}/${database}"]
      },
      {
        sid       = "ReadCleanedTables"
        actions   = local.read_tables
        resources = ["${local.l.database}/${local.l.databases.cleaned}", "${local.l.table}/${local.l.databases.cleaned}/*"]
      },
      {
        sid       = "ReadMarts"
        actions   = concat(local.read_tables, ["glue:GetTables"])
        resources = ["${local.l.database}/${local.l.databases.marts}", "${local.l.table}/${local.l.databases.marts}/*"]
      },
      {
        sid       = "OwnAttempts"
        actions   = concat(local.read_tables, local.own_tables, local.own_partitions)
        resources = local.attempts_arns
      },
      {
        # Of rows that tests refused, where store_failures is on; the operator makes the others.
        sid       = "AttemptsDatabase"
        actions   = ["glue:CreateDatabase", "glue:GetDatabase"]
        resources = ["${local.l.database}/${local.l.databases.attempts}"]
      },
      {
        sid       = "ReadZones"
        actions   = ["s3:GetObject"]
        resources = [local.cleaned.objects_arn, local.curated.objects_arn]
      },
      {
        sid       = "WriteGenerations"
        actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        resources = ["${local.curated.root_arn}${local.l.folders.generations}*"]
      },
    ],
    local.lists,
    local.query_results,
  )
}
