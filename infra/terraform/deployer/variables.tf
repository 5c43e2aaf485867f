variable "lakehouse_file" {
  description = "The lakehouse.yaml that the deployer is to apply, from this folder or absolute."
  type        = string
  default     = "../../../example_dags/lakehouse.yaml"
}

variable "name" {
  description = "As the lakehouse's own variable name."
  type        = string
  default     = null
}

variable "local_aws" {
  description = "Whether AWS_ENDPOINT_URL leads to `lakehouse local`."
  type        = bool
  default     = false
}

variable "tags" {
  type    = map(string)
  default = {}
}

variable "principals" {
  description = "ARNs of people's roles that may deploy."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.principals : can(regex("^arn:[a-z-]+:(iam|sts)::\\d{12}:", arn))])
    error_message = "principals must be ARNs of IAM users or roles; * would let everyone deploy."
  }
}

variable "ci" {
  description = "A CI that identifies itself by OpenID Connect: GitHub's is https://token.actions.githubusercontent.com with subjects such as repo:ORG/REPO:environment:prod. provider_arn names one that the account has already."
  type = object({
    provider_url = string
    subjects     = list(string)
    audience     = optional(string, "sts.amazonaws.com")
    provider_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.ci == null ? true : startswith(var.ci.provider_url, "https://")
    error_message = "ci.provider_url must begin with https://."
  }

  validation {
    condition     = var.ci == null ? true : length(var.ci.subjects) > 0 && alltrue([for subject in var.ci.subjects : can(regex("^[^*:]+:[^*:]", subject))])
    error_message = "ci.subjects must name whose runs may deploy, such as repo:ORG/REPO:ref:refs/heads/main; a * for the repository would let every repository of the provider in."
  }
}

variable "state_bucket" {
  description = "The bucket that holds Terraform's state, where it is not local; null for none."
  type        = string
  default     = null
}

variable "state_key_prefix" {
  type    = string
  default = "lakehouse/"
}

variable "mwaa_environment" {
  description = "The name of the MWAA environment that may be made; null for none."
  type        = string
  default     = null
}

variable "may_delete_data" {
  description = "Whether the deployer may empty buckets, which a destroy with protect = false does."
  type        = bool
  default     = false
}
