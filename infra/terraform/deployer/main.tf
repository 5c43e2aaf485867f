# Who applies the lakehouse, and the boundary of every role that it makes. Applied once, by an administrator, with a
# state of its own: a deployer that could change its own rights would have all rights.

provider "aws" {
  region = local.l.region

  default_tags {
    tags = merge({ lakehouse = local.l.name, managed-by = "terraform" }, var.tags)
  }

  s3_use_path_style = var.local_aws
  max_retries       = var.local_aws ? 2 : null
}

module "lakehouse" {
  source = "../modules/lakehouse"
  file   = abspath(startswith(var.lakehouse_file, "/") ? var.lakehouse_file : "${path.root}/${var.lakehouse_file}")
  name   = var.name
}

locals {
  l = module.lakehouse.value
}

module "boundary" {
  source = "../modules/policy"
  grants = local.boundary
}

resource "aws_iam_policy" "boundary" {
  name        = "${local.l.name}-boundary"
  path        = local.l.glue_role.path
  description = "The most that any role of the lakehouse can ever do"
  policy      = module.boundary.minified
}

module "policy" {
  source   = "../modules/policy"
  for_each = { data = local.data, access = local.access, watch = local.watch }
  grants   = each.value
}

resource "aws_iam_policy" "deployer" {
  for_each    = module.policy
  name        = "${local.l.name}-deployer-${each.key}"
  path        = local.l.glue_role.path
  description = "What applying the lakehouse calls: ${each.key}"
  policy      = each.value.minified
}

resource "aws_iam_openid_connect_provider" "ci" {
  count          = var.ci == null ? 0 : var.ci.provider_arn == null ? 1 : 0
  url            = var.ci.provider_url
  client_id_list = [var.ci.audience]
}

locals {
  ci_host = try(trimprefix(var.ci.provider_url, "https://"), "")
}

data "aws_iam_policy_document" "trust" {
  dynamic "statement" {
    for_each = var.ci == null ? [] : [var.ci]

    content {
      sid     = "Ci"
      actions = ["sts:AssumeRoleWithWebIdentity"]

      principals {
        type        = "Federated"
        identifiers = [var.ci.provider_arn == null ? aws_iam_openid_connect_provider.ci[0].arn : var.ci.provider_arn]
      }

      condition {
        test     = "StringEquals"
        variable = "${local.ci_host}:aud"
        values   = [statement.value.audience]
      }

      # Without it, every repository of the provider could deploy here.
      condition {
        test     = "StringLike"
        variable = "${local.ci_host}:sub"
        values   = statement.value.subjects
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.principals) == 0 ? [] : [var.principals]

    content {
      sid     = "People"
      actions = ["sts:AssumeRole"]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }
}

resource "aws_iam_role" "deployer" {
  name                 = "${local.l.name}-deployer"
  path                 = local.l.glue_role.path
  description          = "Applies the lakehouse"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 3600

  lifecycle {
    precondition {
      condition     = var.ci != null || length(var.principals) > 0
      error_message = "Nobody could deploy: name ci, principals, or both."
    }
  }
}

resource "aws_iam_role_policy_attachment" "deployer" {
  for_each   = aws_iam_policy.deployer
  role       = aws_iam_role.deployer.name
  policy_arn = each.value.arn
}

output "role_arn" {
  value = aws_iam_role.deployer.arn
}

output "permissions_boundary" {
  description = "For the lakehouse's variable permissions_boundary."
  value       = aws_iam_policy.boundary.arn
}
