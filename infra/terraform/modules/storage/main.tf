# One bucket for each that the zones lie in: versioned, encrypted, private, TLS only.

locals {
  zones = var.lakehouse.zones
  made  = toset([for name, zone in local.zones : zone.bucket if !contains(var.existing_zones, name)])
  # What may go by itself. Data zones keep everything but versions that were replaced, and these:
  # - staging: what a killed load left. The next load of the month removes it, this the ones that never come.
  # - attempts: what is known of builds under the gate. Never the rest of the curated zone: published tables lie among
  #   generations/ and roots/, publications/ is the history, and `lakehouse sweep` alone knows what of them is free.
  expiring = { for id, rule in {
    results  = { zone = local.zones.results, folder = "", days = var.results_expire_after_days }
    staging  = { zone = local.zones.cleaned, folder = "_staging/", days = 7 }
    attempts = { zone = local.zones.curated, folder = var.lakehouse.folders.attempts, days = var.attempts_expire_after_days }
  } : id => merge(rule, { bucket = rule.zone.bucket, prefix = "${rule.zone.prefix}${rule.folder}" }) if contains(local.made, rule.zone.bucket) }
}

resource "aws_s3_bucket" "zone" {
  #checkov:skip=CKV_AWS_144:A second region doubles the bill; raw files can be fetched and loaded again
  #checkov:skip=CKV2_AWS_62:Nothing listens to single objects: Airflow's sensor looks for the month's file
  #checkov:skip=CKV_AWS_18:Access logging is an option (access_log_bucket)
  #checkov:skip=CKV_AWS_145:SSE-KMS is an option (encryption)
  for_each      = local.made
  bucket        = each.key
  force_destroy = var.force_destroy

  depends_on = [var.databases]
}

resource "aws_s3_bucket_ownership_controls" "zone" {
  for_each = local.made
  bucket   = aws_s3_bucket.zone[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "zone" {
  for_each                = local.made
  bucket                  = aws_s3_bucket.zone[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "zone" {
  for_each = local.made
  bucket   = aws_s3_bucket.zone[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "zone" {
  for_each = local.made
  bucket   = aws_s3_bucket.zone[each.key].id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

# Deny and nothing else: a policy that demanded encryption headers would refuse Athena and Spark, which send none.
data "aws_iam_policy_document" "tls_only" {
  for_each = local.made

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.zone[each.key].arn, "${aws_s3_bucket.zone[each.key].arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "zone" {
  for_each = local.made
  bucket   = aws_s3_bucket.zone[each.key].id
  policy   = data.aws_iam_policy_document.tls_only[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.zone]
}

resource "aws_s3_bucket_lifecycle_configuration" "zone" {
  for_each = local.made
  bucket   = aws_s3_bucket.zone[each.key].id

  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.old_versions_expire_after_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # S3 takes this together with no other expiration.
  rule {
    id     = "delete-markers"
    status = "Enabled"
    filter {}

    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    for_each = { for id, rule in local.expiring : id => rule if rule.bucket == each.key }

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        prefix = rule.value.prefix
      }

      expiration {
        days = rule.value.days
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.zone]
}

resource "aws_s3_bucket_logging" "zone" {
  for_each      = var.access_log_bucket == null ? toset([]) : local.made
  bucket        = aws_s3_bucket.zone[each.key].id
  target_bucket = var.access_log_bucket
  target_prefix = "s3/${each.key}/"
}

# Named, not made: that they are there, and ours to use, shows before anything is applied. Another account's bucket
# must answer HeadBucket to whoever applies.
data "aws_s3_bucket" "existing" {
  for_each = toset([for name in var.existing_zones : local.zones[name].bucket])
  bucket   = each.key
}

output "buckets" {
  description = "Bucket -> ARN, of all zones."
  value = merge(
    { for name, bucket in aws_s3_bucket.zone : name => bucket.arn },
    { for name, bucket in data.aws_s3_bucket.existing : name => bucket.arn },
  )
}
