# Analysts read the marts, in a work group of their own. Views use the caller's rights: what an analyst is to read must
# be a table, because the cleaned zone stays closed.

locals {
  analyst = concat(local.queries.analyst, [
    {
      sid       = "Catalogue"
      actions   = concat(local.read_tables, ["glue:GetDatabase", "glue:GetTables"])
      resources = [local.l.catalog]
    },
    {
      # As dbt's.
      sid       = "Databases"
      actions   = ["glue:GetDatabase"]
      resources = ["${local.l.database}/default", "${local.l.database}/${local.l.databases.marts}"]
    },
    {
      sid       = "MartsTables"
      actions   = concat(local.read_tables, ["glue:GetTables"])
      resources = ["${local.l.database}/${local.l.databases.marts}", "${local.l.table}/${local.l.databases.marts}/*"]
    },
    {
      sid       = "ListMarts"
      actions   = ["s3:ListBucket"]
      resources = [local.curated.bucket_arn]
      when      = local.listing.curated
    },
    {
      sid       = "ReadMarts"
      actions   = ["s3:GetObject"]
      resources = [local.curated.objects_arn]
    },
    {
      sid       = "ListOwnResults"
      actions   = ["s3:ListBucket"]
      resources = [local.results.bucket_arn]
      when      = { "StringLike s3:prefix" = ["${local.results.prefix}${local.l.folders.analysts}*"] }
    },
    {
      sid       = "OwnResults"
      actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
      resources = ["${local.results.root_arn}${local.l.folders.analysts}*"]
    },
    {
      sid       = "Locations"
      actions   = ["s3:GetBucketLocation"]
      resources = distinct([local.curated.bucket_arn, local.results.bucket_arn])
    },
  ])
}
