# The key of everything at rest, where encryption = "SSE-KMS" and no key of yours is named.

data "aws_iam_policy_document" "data_key" {
  #checkov:skip=CKV_AWS_109:A key's policy is about that key; without the account's own administration nobody could ever change it
  #checkov:skip=CKV_AWS_111:As above
  #checkov:skip=CKV_AWS_356:In a key's policy "*" means this key
  # Whoever the account's policies let: the roles of module access are let by theirs.
  statement {
    sid = "Account"
    actions = [
      "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateGrant", "kms:Decrypt", "kms:DeleteAlias",
      "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Encrypt",
      "kms:GenerateDataKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags",
      "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription",
    ]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.lakehouse.partition}:iam::${local.lakehouse.account}:root"]
    }
  }

  statement {
    sid       = "Logs"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.lakehouse.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["${local.lakehouse.logs}:${local.lakehouse.log_group_prefix}/*"]
    }
  }

  statement {
    sid       = "AlarmPublishers"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.lakehouse.account]
    }
  }
}

resource "aws_kms_key" "data" {
  count                   = var.encryption == "SSE-KMS" && var.kms_key_arn == null ? 1 : 0
  description             = "${local.lakehouse.name}: the lakehouse's data"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.data_key.json
}

resource "aws_kms_alias" "data" {
  count         = length(aws_kms_key.data)
  name          = "alias/${local.lakehouse.name}"
  target_key_id = aws_kms_key.data[0].key_id
}
