# The roles. What each may do stands in the file of its name, as a list of grants (module policy says what one holds).

locals {
  l         = var.lakehouse
  raw       = local.l.zones.raw
  cleaned   = local.l.zones.cleaned
  curated   = local.l.zones.curated
  results   = local.l.zones.results
  artifacts = local.l.zones.artifacts

  # Listing is asked of the bucket, and kept to the zone's own prefix where it has one.
  listing = { for name, zone in local.l.zones : name => zone.prefix == "" ? {} : { "StringLike s3:prefix" = ["${zone.prefix}*"] } }

  # One role each: who takes it, and what it may do.
  roles = merge(
    {
      airflow = {
        name        = "${local.l.name}-airflow"
        description = "Airflow: starts jobs, crawls and dbt"
        services    = var.mwaa == null ? [] : ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]
        principals  = var.airflow_principals
        grants      = concat(local.airflow, [for grant in local.mwaa : grant if var.mwaa != null])
        writes      = true
      }
      glue_job = {
        name        = local.l.glue_role.name
        description = "The Glue job that cleans a month"
        services    = ["glue.amazonaws.com"]
        principals  = []
        grants      = local.glue_job
        writes      = true
      }
      crawler = {
        name        = "${local.l.name}-crawler"
        description = "The crawler of the cleaned zone"
        services    = ["glue.amazonaws.com"]
        principals  = []
        grants      = local.crawler
        writes      = false
      }
      dbt = {
        name        = "${local.l.name}-dbt"
        description = "dbt: models the cleaned zone on Athena"
        services    = local.l.dbt_job == null ? [] : ["glue.amazonaws.com"]
        principals  = ["${local.l.role_arn_prefix}airflow"]
        grants      = local.dbt
        writes      = true
      }
    },
    { for name, role in {
      fence = {
        name        = try(local.l.fence_role.name, "none")
        description = "dbt under the gate: builds beside production"
        services    = []
        principals  = ["${local.l.role_arn_prefix}dbt"]
        grants      = local.fence
        writes      = true
      }
    } : name => role if local.l.fence_role != null },
    { for name, role in {
      analyst = {
        name        = "${local.l.name}-analyst"
        description = "Analysts: read the marts"
        services    = []
        principals  = var.analyst_principals
        grants      = local.analyst
        writes      = true
      }
    } : name => role if length(var.analyst_principals) > 0 },
  )

  # Encrypted objects need the key besides, through S3 and in no other way.
  key_grants = { for name, role in local.roles : name => var.kms_key_arn == null ? [] : [{
    sid       = "Key"
    actions   = role.writes ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
    resources = [var.kms_key_arn]
    when      = { "StringEquals kms:ViaService" = ["s3.${local.l.region}.amazonaws.com"] }
  }] }
}

data "aws_iam_policy_document" "trust" {
  for_each = local.roles

  # Nobody yet: a role needs a trust all the same, and this one lets no one in.
  dynamic "statement" {
    for_each = length(each.value.services) + length(each.value.principals) == 0 ? [1] : []

    content {
      sid     = "Nobody"
      effect  = "Deny"
      actions = ["sts:AssumeRole"]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(each.value.services) == 0 ? [] : [each.value.services]

    content {
      sid     = "Service"
      actions = ["sts:AssumeRole"]

      principals {
        type        = "Service"
        identifiers = statement.value
      }

      # The service on behalf of this account, and of no other (the confused deputy).
      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.l.account]
      }
    }
  }

  dynamic "statement" {
    for_each = length(each.value.principals) == 0 ? [] : [each.value.principals]

    content {
      sid     = "Principals"
      actions = ["sts:AssumeRole"]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }
}

module "policy" {
  source   = "../policy"
  for_each = local.roles
  grants   = concat(each.value.grants, local.key_grants[each.key])
}

# One after another: dbt's trust names Airflow's, the fence's names dbt's, and IAM refuses a principal that does not exist.
resource "aws_iam_role" "airflow" {
  name                 = local.roles.airflow.name
  description          = local.roles.airflow.description
  path                 = local.l.glue_role.path
  assume_role_policy   = data.aws_iam_policy_document.trust["airflow"].json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role" "role" {
  for_each             = { for name, role in local.roles : name => role if !contains(["airflow", "fence"], name) }
  name                 = each.value.name
  description          = each.value.description
  path                 = local.l.glue_role.path
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  permissions_boundary = var.permissions_boundary

  depends_on = [aws_iam_role.airflow]
}

resource "aws_iam_role" "fence" {
  for_each             = { for name, role in local.roles : name => role if name == "fence" }
  name                 = each.value.name
  description          = each.value.description
  path                 = local.l.fence_role.path
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  permissions_boundary = var.permissions_boundary

  depends_on = [aws_iam_role.role]
}

resource "aws_iam_role_policy" "role" {
  for_each = local.roles
  name     = "lakehouse"
  role     = { for name, role in merge({ airflow = aws_iam_role.airflow }, aws_iam_role.role, aws_iam_role.fence) : name => role.name }[each.key]
  policy   = module.policy[each.key].json
}

output "roles" {
  description = "ARNs. They are known once the policies are attached: Glue and MWAA look at them when they are made."
  value       = { for name, role in merge({ airflow = aws_iam_role.airflow }, aws_iam_role.role, aws_iam_role.fence) : name => role.arn }
  depends_on  = [aws_iam_role_policy.role]
}
