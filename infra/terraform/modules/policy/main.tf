# A policy out of a list of grants: sid, actions, resources (or not_resources), when = {"<test> <condition key>" = values}.

variable "grants" {
  type = any
}

data "aws_iam_policy_document" "policy" {
  dynamic "statement" {
    for_each = var.grants

    content {
      sid           = statement.value.sid
      actions       = statement.value.actions
      resources     = try(statement.value.resources, null)
      not_resources = try(statement.value.not_resources, null)

      dynamic "condition" {
        for_each = try(statement.value.when, {})

        content {
          test     = split(" ", condition.key)[0]
          variable = split(" ", condition.key)[1]
          values   = condition.value
        }
      }
    }
  }
}

output "json" {
  value = data.aws_iam_policy_document.policy.json
}

output "minified" {
  description = "Without spaces: a managed policy holds 6,144 characters."
  value       = data.aws_iam_policy_document.policy.minified_json
}
