variable "lakehouse" {
  description = "Of module lakehouse."
  type        = any
}

variable "existing_zones" {
  type = set(string)
}

variable "kms_key_arn" {
  type = string
}

variable "force_destroy" {
  type = bool
}

variable "access_log_bucket" {
  type = string
}

variable "results_expire_after_days" {
  type = number
}

variable "attempts_expire_after_days" {
  type = number
}

variable "old_versions_expire_after_days" {
  type = number
}

variable "databases" {
  description = "The catalogue's databases. Buckets wait for them, so that on destroy a bucket that is not empty stops it first."
  type        = any
}
