# The crawler reads its three folders and writes tables and partitions of one database. Its policy on what disappeared
# is LOG, so it deletes nothing.

locals {
  crawled = [for table in ["trips", "quarantine_trips", "load_audit"] : "${table}/"]

  crawler_tables = [
    "glue:BatchCreatePartition", "glue:BatchGetPartition", "glue:CreateTable", "glue:GetPartition",
    "glue:GetPartitions", "glue:GetTable", "glue:GetTables", "glue:UpdatePartition", "glue:UpdateTable",
  ]

  crawler = [
    {
      sid       = "ListFolders"
      actions   = ["s3:ListBucket"]
      resources = [local.cleaned.bucket_arn]
      when      = { "StringLike s3:prefix" = [for folder in local.crawled : "${local.cleaned.prefix}${folder}*"] }
    },
    {
      sid       = "Location"
      actions   = ["s3:GetBucketLocation"]
      resources = [local.cleaned.bucket_arn]
    },
    {
      sid       = "ReadFolders"
      actions   = ["s3:GetObject"]
      resources = [for folder in local.crawled : "${local.cleaned.root_arn}${folder}*"]
    },
    {
      sid       = "Catalogue"
      actions   = concat(local.crawler_tables, ["glue:GetDatabase"])
      resources = [local.l.catalog]
    },
    {
      sid       = "Database"
      actions   = ["glue:GetDatabase"]
      resources = ["${local.l.database}/${local.l.databases.cleaned}"]
    },
    {
      sid       = "Tables"
      actions   = local.crawler_tables
      resources = ["${local.l.database}/${local.l.databases.cleaned}", "${local.l.table}/${local.l.databases.cleaned}/*"]
    },
    {
      # The groups of every crawler of the account: Glue gives no other.
      sid       = "Logs"
      actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["${local.l.logs}:/aws-glue/crawlers*"]
    },
  ]
}
