variable "lakehouse_file" {
  description = "The lakehouse.yaml, from this folder or absolute; one for each environment."
  type        = string
  default     = "../../example_dags/lakehouse.yaml"
}

variable "name" {
  description = "What names that lakehouse.yaml does not give begin with. Default: that of glue.role, without -glue."
  type        = string
  default     = null
}

variable "tags" {
  description = "On everything, besides lakehouse and managed-by."
  type        = map(string)
  default     = {}
}

variable "protect" {
  description = "Whether buckets and work groups that hold something survive a destroy. To destroy, apply false first."
  type        = bool
  default     = true
}

variable "local_aws" {
  description = "Whether AWS_ENDPOINT_URL leads to `lakehouse local`."
  type        = bool
  default     = false
}

variable "permissions_boundary" {
  description = "ARN of the boundary of every role made here; the deployer asks for one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::\\d{12}:policy/", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of an IAM policy, or null."
  }
}

# Storage

variable "existing_zones" {
  description = "Zones whose buckets are there already, here or in another account: named, not made."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for zone in var.existing_zones : contains(["raw", "cleaned", "curated", "results", "artifacts"], zone)])
    error_message = "existing_zones may hold raw, cleaned, curated, results and artifacts."
  }
}

variable "encryption" {
  description = "SSE-S3, or SSE-KMS with a bucket key ($1 a month and its calls)."
  type        = string
  default     = "SSE-S3"

  validation {
    condition     = contains(["SSE-S3", "SSE-KMS"], var.encryption)
    error_message = "encryption must be SSE-S3 or SSE-KMS."
  }
}

variable "kms_key_arn" {
  description = "A key of yours for SSE-KMS, whose policy lets this account's roles, CloudWatch Logs and EventBridge use it. Default: one is made."
  type        = string
  default     = null
}

variable "access_log_bucket" {
  description = "A bucket of yours (encrypted with SSE-S3) for S3's access logs."
  type        = string
  default     = null
}

variable "results_expire_after_days" {
  description = "Days that answers of queries are kept."
  type        = number
  default     = 30

  validation {
    condition     = var.results_expire_after_days >= 1
    error_message = "results_expire_after_days must be at least 1."
  }
}

variable "attempts_expire_after_days" {
  description = "Days that builds under the gate are known, longer than `lakehouse sweep` keeps them (24 hours): after that neither published nor tested any more."
  type        = number
  default     = 30

  validation {
    condition     = var.attempts_expire_after_days >= 2
    error_message = "attempts_expire_after_days must be at least 2: the sweeper takes a build whose document is gone for one that nobody needs, and of its files what is older than 24 hours."
  }
}

variable "old_versions_expire_after_days" {
  description = "Days that replaced and deleted objects can be brought back."
  type        = number
  default     = 30

  validation {
    condition     = var.old_versions_expire_after_days >= 1
    error_message = "old_versions_expire_after_days must be at least 1."
  }
}

# Glue and Athena

variable "log_retention_days" {
  description = "Of the jobs' logs."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of CloudWatch's: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 ..."
  }
}

variable "dbt_requirements_file" {
  description = "What pip installs when dbt's Glue job starts. Default: requirements.txt of dbt.project, where that is a folder."
  type        = string
  default     = null
}

variable "dbt_bytes_scanned_cutoff" {
  description = "Bytes after which a query of dbt's is ended; null for none."
  type        = number
  default     = 1099511627776

  validation {
    condition     = try(var.dbt_bytes_scanned_cutoff >= 10485760, true)
    error_message = "dbt_bytes_scanned_cutoff must be at least 10485760 (10 MB), or null."
  }
}

variable "analyst_bytes_scanned_cutoff" {
  description = "Bytes after which a query of an analyst's is ended; null for none."
  type        = number
  default     = 107374182400

  validation {
    condition     = try(var.analyst_bytes_scanned_cutoff >= 10485760, true)
    error_message = "analyst_bytes_scanned_cutoff must be at least 10485760 (10 MB), or null."
  }
}

# Access

variable "airflow_principals" {
  description = "ARNs of the roles or users that an Airflow outside of MWAA runs under; they may assume Airflow's role."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.airflow_principals : can(regex("^arn:[a-z-]+:(iam|sts)::\\d{12}:", arn))])
    error_message = "airflow_principals must be ARNs of IAM users or roles; * would open the role to everyone."
  }
}

variable "analyst_principals" {
  description = "ARNs of who may assume the analysts' role; empty makes neither the role nor their work group."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.analyst_principals : can(regex("^arn:[a-z-]+:(iam|sts)::\\d{12}:", arn))])
    error_message = "analyst_principals must be ARNs of IAM users or roles; * would open the role to everyone."
  }
}

# Alarms

variable "alarms" {
  type    = bool
  default = true
}

variable "alarm_emails" {
  description = "Who is told; each must confirm a mail of AWS's."
  type        = list(string)
  default     = []
}

variable "success_by_day" {
  description = "Day of the month by which a load must have succeeded, at most six after the schedule's; null for no such alarm."
  type        = number
  default     = 8
}

variable "monthly_budget_usd" {
  description = "Told at 80 % spent and when more is forecast; null for no budget. Activate the tag lakehouse for cost allocation."
  type        = number
  default     = null
}

# MWAA

variable "mwaa" {
  description = "An MWAA environment in your network; null makes none (it costs about $360 a month)."
  type = object({
    name                  = string
    subnet_ids            = list(string)
    security_group_ids    = optional(list(string), [])
    airflow_version       = optional(string, "3.0.6")
    class                 = optional(string, "mw1.small")
    min_workers           = optional(number, 1)
    max_workers           = optional(number, 2)
    schedulers            = optional(number, 2)
    public_web_server     = optional(bool, false)
    maintenance_window    = optional(string, "SUN:03:30")
    kms_key_arn           = optional(string)
    airflow_configuration = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.mwaa == null ? true : can(regex("^[a-zA-Z][0-9a-zA-Z_-]{0,79}$", var.mwaa.name))
    error_message = "mwaa.name must be up to 80 letters, digits, '-' and '_', beginning with a letter."
  }

  validation {
    condition     = try(length(var.mwaa.subnet_ids) == 2, true)
    error_message = "mwaa.subnet_ids must be two private subnets in two availability zones."
  }

  validation {
    condition     = try(contains(["2.10.3", "2.11.2", "3.0.6", "3.2.1", "3.3.1"], var.mwaa.airflow_version), true)
    error_message = "mwaa.airflow_version must be one that MWAA serves and this provider is tested with: 2.10.3, 2.11.2, 3.0.6, 3.2.1 or 3.3.1."
  }

  validation {
    condition     = try(contains(["mw1.micro", "mw1.small", "mw1.medium", "mw1.large", "mw1.xlarge", "mw1.2xlarge"], var.mwaa.class), true)
    error_message = "mwaa.class must be mw1.micro, mw1.small, mw1.medium, mw1.large, mw1.xlarge or mw1.2xlarge."
  }

  validation {
    condition     = var.mwaa == null ? true : can(regex("^(MON|TUE|WED|THU|FRI|SAT|SUN):([01]\\d|2[0-3]):(00|30)$", var.mwaa.maintenance_window))
    error_message = "mwaa.maintenance_window must be DAY:HH:MM in UTC, on the half hour, such as SUN:03:30."
  }

  validation {
    condition     = try(var.mwaa.min_workers >= 1 && var.mwaa.min_workers <= var.mwaa.max_workers, true)
    error_message = "mwaa.min_workers must be from 1 to mwaa.max_workers."
  }
}

variable "mwaa_object_versions" {
  description = "S3's versions of what MWAA reads; `lakehouse mwaa sync --tfvars` writes them. null takes the newest at the time."
  type = object({
    plugins        = optional(string)
    requirements   = optional(string)
    startup_script = optional(string)
  })
  default = {}
}
