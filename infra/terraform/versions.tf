terraform {
  # Below 1.11 the S3 backend's use_lockfile is experimental.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 6"
    }
  }
}
