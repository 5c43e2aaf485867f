# Everything that a lakehouse.yaml names, in one AWS account. docs/deploy.md begins here.

provider "aws" {
  region = module.lakehouse.value.region

  default_tags {
    tags = merge({ lakehouse = module.lakehouse.value.name, managed-by = "terraform" }, var.tags)
  }

  # A local AWS (`lakehouse local`): AWS_ENDPOINT_URL says where. Buckets are paths there, and what it does not know
  # it will not know at the fourth try.
  s3_use_path_style = var.local_aws
  max_retries       = var.local_aws ? 2 : null
}

module "lakehouse" {
  source = "./modules/lakehouse"
  file   = local.lakehouse_file
  name   = var.name
}

# Names and ARNs carry the account of glue.role: with another account's credentials half of them would be wrong.
data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == module.lakehouse.value.account
      error_message = "lakehouse.yaml: glue.role is of account ${module.lakehouse.value.account}, and the credentials are of account ${self.account_id}: use that account's lakehouse.yaml (lakehouse_file) or its credentials."
    }
  }
}

locals {
  # From this folder, as the variable's files are written.
  lakehouse_file = abspath(startswith(var.lakehouse_file, "/") ? var.lakehouse_file : "${path.root}/${var.lakehouse_file}")
  lakehouse      = module.lakehouse.value
  kms_key_arn    = var.encryption == "SSE-S3" ? null : coalesce(var.kms_key_arn, try(aws_kms_key.data[0].arn, null))
}

module "databases" {
  source    = "./modules/databases"
  lakehouse = local.lakehouse
}

module "storage" {
  source                         = "./modules/storage"
  lakehouse                      = local.lakehouse
  existing_zones                 = var.existing_zones
  kms_key_arn                    = local.kms_key_arn
  force_destroy                  = !var.protect
  access_log_bucket              = var.access_log_bucket
  results_expire_after_days      = var.results_expire_after_days
  attempts_expire_after_days     = var.attempts_expire_after_days
  old_versions_expire_after_days = var.old_versions_expire_after_days
  databases                      = module.databases.names
}

module "access" {
  source               = "./modules/access"
  lakehouse            = local.lakehouse
  airflow_principals   = var.airflow_principals
  analyst_principals   = var.analyst_principals
  mwaa                 = try(var.mwaa.name, null)
  mwaa_kms_key_arn     = try(var.mwaa.kms_key_arn, null)
  kms_key_arn          = local.kms_key_arn
  permissions_boundary = var.permissions_boundary
}

module "glue" {
  source             = "./modules/glue"
  lakehouse          = local.lakehouse
  roles              = module.access.roles
  databases          = module.databases.names
  kms_key_arn        = local.kms_key_arn
  log_retention_days = var.log_retention_days
  dbt_modules        = local.dbt_modules
}

module "athena" {
  source               = "./modules/athena"
  lakehouse            = local.lakehouse
  kms_key_arn          = local.kms_key_arn
  force_destroy        = !var.protect
  bytes_scanned_cutoff = { dbt = var.dbt_bytes_scanned_cutoff, analysts = var.analyst_bytes_scanned_cutoff }
  analysts             = length(var.analyst_principals) > 0
}

module "alarms" {
  source             = "./modules/alarms"
  count              = var.alarms ? 1 : 0
  lakehouse          = local.lakehouse
  jobs               = module.glue.jobs
  subscribers        = var.alarm_emails
  kms_key_arn        = local.kms_key_arn
  success_by_day     = var.success_by_day
  monthly_budget_usd = var.monthly_budget_usd
}

module "mwaa" {
  source              = "./modules/mwaa"
  count               = var.mwaa == null ? 0 : 1
  lakehouse           = local.lakehouse
  environment         = merge(var.mwaa, { versions = var.mwaa_object_versions })
  role_arn            = module.access.roles.airflow
  security_group_name = "${local.lakehouse.name}-mwaa"
}

locals {
  # The one list of dbt's versions, beside dbt's project.
  dbt_requirements = coalesce(var.dbt_requirements_file, "${startswith(try(local.lakehouse.yaml.dbt.project, ""), "/") ? "" : "${dirname(local.lakehouse_file)}/"}${try(local.lakehouse.yaml.dbt.project, "")}/requirements.txt")
  dbt_modules = !fileexists(local.dbt_requirements) ? [] : [
    for line in split("\n", file(local.dbt_requirements)) : trimspace(line)
    if trimspace(line) != "" && !startswith(trimspace(line), "#")
  ]
}
