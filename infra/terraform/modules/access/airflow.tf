# Airflow starts and looks; it touches no trip. dbt's rights it takes by assuming dbt's role.

locals {
  jobs = compact([local.l.job.arn, try(local.l.dbt_job.arn, "")])

  airflow = concat(
    [
      {
        sid       = "Jobs"
        actions   = ["glue:BatchStopJobRun", "glue:GetJob", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun"]
        resources = local.jobs
      },
      {
        sid       = "Crawler"
        actions   = ["glue:GetCrawler", "glue:ListCrawls", "glue:StartCrawler"]
        resources = [local.l.crawler.arn]
      },
      {
        # Without it S3 answers 403 instead of 404 for a month that is not there yet. HeadObject carries no prefix.
        sid       = "RawFileIsThere"
        actions   = ["s3:ListBucket"]
        resources = [local.raw.bucket_arn]
        when      = local.raw.prefix == "" ? {} : { "StringLikeIfExists s3:prefix" = ["${local.raw.prefix}*"] }
      },
      {
        sid       = "RawFile"
        actions   = ["s3:GetObject"]
        resources = [local.raw.objects_arn]
      },
      {
        sid       = "Reports"
        actions   = ["s3:GetObject"]
        resources = ["${local.artifacts.root_arn}${local.l.folders.reports}*"]
      },
      {
        sid       = "Dbt"
        actions   = ["sts:AssumeRole"]
        resources = ["${local.l.role_arn_prefix}dbt"]
      },
      {
        sid       = "Messages"
        actions   = ["logs:GetLogEvents"]
        resources = ["${local.l.logs}:${local.l.log_group_prefix}/*:log-stream:*"]
      },
    ],
    [for grant in concat(local.hand_over, local.sweep, local.stop_sweep) : grant if local.l.dbt_job != null],
  )
}
