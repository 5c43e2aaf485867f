# The job that cleans a month, the one that runs dbt where lakehouse.yaml names it, and the crawler.

variable "lakehouse" {
  description = "Of module lakehouse."
  type        = any
}

variable "roles" {
  description = "ARNs: glue_job, crawler, dbt."
  type        = map(string)
}

variable "databases" {
  type = map(string)
}

variable "kms_key_arn" {
  type = string
}

variable "log_retention_days" {
  type = number
}

variable "dbt_modules" {
  description = "What pip installs when dbt's job starts."
  type        = list(string)
}

locals {
  glue    = var.lakehouse.yaml.glue
  scripts = "${var.lakehouse.zones.artifacts.uri}/${trimsuffix(var.lakehouse.folders.scripts, "/")}"
  jobs    = merge({ clean = var.lakehouse.job }, var.lakehouse.dbt_job == null ? {} : { dbt = var.lakehouse.dbt_job })
  groups  = { for pair in setproduct(keys(local.jobs), ["output", "error"]) : "${pair[0]}/${pair[1]}" => "${var.lakehouse.log_group_prefix}/${pair[0]}/${pair[1]}" }
  common = {
    "--job-language"        = "python"
    "--job-bookmark-option" = "job-bookmark-disable" # a month that is loaded again must be read again
  }
}

resource "aws_cloudwatch_log_group" "job" {
  #checkov:skip=CKV_AWS_158:SSE-KMS is an option (encryption); CloudWatch encrypts in any case
  #checkov:skip=CKV_AWS_338:A year of job logs is an option (log_retention_days); load_audit keeps what came of each load
  for_each          = local.groups
  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_glue_job" "clean" {
  #checkov:skip=CKV_AWS_195:The buckets encrypt; a security configuration would put the job's logs under names that cannot be made beforehand
  name              = local.glue.job
  description       = "Cleans a month of trips"
  role_arn          = var.roles.glue_job
  glue_version      = try(local.glue.version, "5.1")
  worker_type       = try(local.glue.worker_type, "G.1X")
  number_of_workers = try(local.glue.workers, 2)
  timeout           = try(local.glue.timeout_minutes, 60)
  max_retries       = 0          # Airflow retries; Glue's own would start a month twice
  execution_class   = "STANDARD" # said, or every plan finds it changed

  command {
    script_location = "${local.scripts}/clean_trips.py"
    python_version  = "3"
  }

  default_arguments = merge(local.common, {
    "--extra-py-files"         = "${local.scripts}/trips.zip"
    "--cleaned_uri"            = var.lakehouse.zones.cleaned.uri
    "--custom-logGroup-prefix" = "${var.lakehouse.log_group_prefix}/clean"
  })

  execution_property {
    max_concurrent_runs = try(local.glue.max_concurrent_runs, 1)
  }

  depends_on = [aws_cloudwatch_log_group.job]

  lifecycle {
    precondition {
      condition     = contains(["5.0", "5.1"], tostring(try(local.glue.version, "5.1")))
      error_message = "lakehouse.yaml: glue.version is ${try(local.glue.version, "")}; it must be 5.0 or 5.1, written \"5.1\"."
    }

    precondition {
      condition     = try(local.glue.timeout_minutes, 60) >= 1 && try(local.glue.timeout_minutes, 60) <= 10080
      error_message = "lakehouse.yaml: glue.timeout_minutes is ${try(local.glue.timeout_minutes, "")}; it must be from 1 to 10080 (seven days)."
    }
  }
}

resource "aws_glue_job" "dbt" {
  #checkov:skip=CKV_AWS_195:The buckets encrypt; a security configuration would put the job's logs under names that cannot be made beforehand
  count             = var.lakehouse.dbt_job == null ? 0 : 1
  name              = var.lakehouse.dbt_job.name
  description       = "Runs dbt on Athena"
  role_arn          = var.roles.dbt
  glue_version      = try(local.glue.version, "5.1") # a Python shell's Python is too old for dbt
  worker_type       = "G.1X"
  number_of_workers = 2 # the fewest there are: dbt works in Athena
  timeout           = try(local.glue.timeout_minutes, 60)
  max_retries       = 0
  execution_class   = "STANDARD"

  command {
    script_location = "${local.scripts}/run_dbt.py"
    python_version  = "3"
  }

  default_arguments = merge(local.common, {
    "--extra-py-files"            = "${local.scripts}/airflow_lakehouse_provider.zip" # of it only what runs dbt
    "--additional-python-modules" = join(",", var.dbt_modules)
    "--custom-logGroup-prefix"    = "${var.lakehouse.log_group_prefix}/dbt"
  })

  execution_property {
    max_concurrent_runs = try(local.glue.max_concurrent_runs, 1)
  }

  depends_on = [aws_cloudwatch_log_group.job]

  lifecycle {
    precondition {
      condition     = length(var.dbt_modules) > 0
      error_message = "dbt's requirements.txt is not where lakehouse.yaml's dbt.project is: name it in dbt_requirements_file, for dbt.glue_job must install dbt."
    }
  }
}

resource "aws_glue_crawler" "cleaned" {
  #checkov:skip=CKV_AWS_195:The buckets encrypt; the crawler writes metadata and its account-wide log group
  name          = var.lakehouse.crawler.name
  description   = "Puts the cleaned zone's partitions in the Data Catalog; Airflow starts it, so it has no schedule"
  role          = var.roles.crawler
  database_name = var.databases.cleaned

  dynamic "s3_target" {
    for_each = ["trips", "quarantine_trips", "load_audit"]

    content {
      path = "${var.lakehouse.zones.cleaned.uri}/${s3_target.value}/"
    }
  }

  schema_change_policy {
    update_behavior = "UPDATE_IN_DATABASE"
    delete_behavior = "LOG"
  }

  recrawl_policy {
    recrawl_behavior = "CRAWL_EVERYTHING"
  }

  # Partitions take the table's columns: else Athena finds HIVE_PARTITION_SCHEMA_MISMATCH where two files differ.
  configuration = jsonencode({
    Version = 1.0
    CrawlerOutput = {
      Partitions = { AddOrUpdateBehavior = "InheritFromTable" }
      Tables     = { AddOrUpdateBehavior = "MergeNewColumns" }
    }
  })
}

output "log_groups" {
  value = { for key, group in aws_cloudwatch_log_group.job : key => group.name }
}

output "jobs" {
  value = { for key, job in local.jobs : key => job.name }
}
