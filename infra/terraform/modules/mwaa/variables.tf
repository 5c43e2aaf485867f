variable "lakehouse" {
  description = "Of module lakehouse."
  type        = any
}

variable "environment" {
  description = "As the root's variable mwaa."
  type        = any
}

variable "role_arn" {
  type = string
}

variable "security_group_name" {
  type = string
}
