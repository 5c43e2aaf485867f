# The cleaning job reads raw files and its code, and is the one writer of the cleaned zone.

locals {
  # What a Glue job of ours needs besides its data.
  job_common = {
    for job, folder in { clean = "clean", dbt = "dbt" } : job => [
      {
        sid       = "Script"
        actions   = ["s3:GetObject"]
        resources = ["${local.artifacts.root_arn}${local.l.folders.scripts}*"]
      },
      {
        sid       = "Logs"
        actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        resources = ["${local.l.logs}:${local.l.log_group_prefix}/${folder}/*"]
      },
    ]
  }

  glue_job = concat(local.job_common.clean, [
    {
      sid       = "ListRaw"
      actions   = ["s3:ListBucket"]
      resources = [local.raw.bucket_arn]
      when      = local.listing.raw
    },
    {
      sid       = "ReadRaw"
      actions   = ["s3:GetObject"]
      resources = [local.raw.objects_arn]
    },
    {
      sid       = "ListCleaned"
      actions   = ["s3:ListBucket"]
      resources = [local.cleaned.bucket_arn]
      when      = local.listing.cleaned
    },
    {
      sid       = "WriteCleaned"
      actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      resources = [local.cleaned.objects_arn]
    },
    {
      sid       = "Locations"
      actions   = ["s3:GetBucketLocation"]
      resources = distinct([local.raw.bucket_arn, local.cleaned.bucket_arn])
    },
    {
      sid       = "Report"
      actions   = ["s3:PutObject"]
      resources = ["${local.artifacts.root_arn}${local.l.folders.reports}*"]
    },
  ])
}
