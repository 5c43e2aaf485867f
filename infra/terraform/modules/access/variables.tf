variable "lakehouse" {
  description = "Of module lakehouse."
  type        = any
}

variable "airflow_principals" {
  description = "ARNs of who runs Airflow outside of MWAA."
  type        = list(string)
}

variable "analyst_principals" {
  type = list(string)
}

variable "mwaa" {
  description = "The MWAA environment's name, or null."
  type        = string
}

variable "mwaa_kms_key_arn" {
  type = string
}

variable "kms_key_arn" {
  type = string
}

variable "permissions_boundary" {
  type = string
}
