# dbt's work group, and the analysts'.

variable "lakehouse" {
  description = "Of module lakehouse."
  type        = any
}

variable "kms_key_arn" {
  type = string
}

variable "force_destroy" {
  type = bool
}

variable "bytes_scanned_cutoff" {
  description = "By group, dbt and analysts; null for none."
  type        = map(number)
}

variable "analysts" {
  type = bool
}

locals {
  results = var.lakehouse.zones.results.uri
}

resource "aws_athena_workgroup" "dbt" {
  #checkov:skip=CKV_AWS_82:Enforced, the group's location would replace the one that dbt gives, and marts would lie among results that expire
  #checkov:skip=CKV_AWS_159:SSE-KMS is an option (encryption): the bucket's default covers what clients write
  name          = var.lakehouse.work_group.name
  description   = "dbt's queries"
  force_destroy = var.force_destroy

  configuration {
    enforce_workgroup_configuration    = false
    publish_cloudwatch_metrics_enabled = false
    bytes_scanned_cutoff_per_query     = var.bytes_scanned_cutoff.dbt

    result_configuration {
      output_location = "${local.results}/dbt/"

      # Always named: the provider cannot take an encryption away.
      encryption_configuration {
        encryption_option = var.kms_key_arn == null ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.kms_key_arn
      }
    }
  }
}

resource "aws_athena_workgroup" "analysts" {
  #checkov:skip=CKV_AWS_159:SSE-KMS is an option (encryption)
  count         = var.analysts ? 1 : 0
  name          = var.lakehouse.analyst_work_group.name
  description   = "Analysts' queries: results of their own, and no query above the cutoff"
  force_destroy = var.force_destroy

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.bytes_scanned_cutoff.analysts

    result_configuration {
      output_location = "${local.results}/${var.lakehouse.folders.analysts}"

      encryption_configuration {
        encryption_option = var.kms_key_arn == null ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.kms_key_arn
      }
    }
  }
}

output "work_groups" {
  value = merge({ dbt = aws_athena_workgroup.dbt.name }, var.analysts ? { analysts = aws_athena_workgroup.analysts[0].name } : {})
}
