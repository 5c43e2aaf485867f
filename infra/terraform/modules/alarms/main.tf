# A failed run is told at once, a month that never came by a day, and a bill before it is due.

variable "lakehouse" {
  description = "Of module lakehouse."
  type        = any
}

variable "jobs" {
  description = "Names of the Glue jobs: clean, dbt."
  type        = map(string)
}

variable "subscribers" {
  description = "E-mail addresses."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "For the topic; null makes a key, because EventBridge cannot publish through AWS's own."
  type        = string
}

variable "success_by_day" {
  description = "Day of the month; null for no such alarm."
  type        = number
}

variable "monthly_budget_usd" {
  type = number
}

locals {
  name = var.lakehouse.name
  # When the schedule loads a month: the day field of its cron line.
  day = try(tonumber(split(" ", replace(var.lakehouse.yaml.schedule.cron, "/ +/", " "))[2]), null)
  # Days of the window in which a run must succeed.
  window = try(var.success_by_day - local.day + 1, null)
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:A key's policy is about that key; without the account's own administration nobody could ever change it
  #checkov:skip=CKV_AWS_111:As above
  #checkov:skip=CKV_AWS_356:In a key's policy "*" means this key
  statement {
    sid       = "Administration"
    actions   = ["kms:CancelKeyDeletion", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Encrypt", "kms:GenerateDataKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${var.lakehouse.partition}:iam::${var.lakehouse.account}:root"]
    }
  }

  statement {
    sid       = "Publishers"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.lakehouse.account]
    }
  }
}

resource "aws_kms_key" "topic" {
  count                   = var.kms_key_arn == null ? 1 : 0
  description             = "${local.name}: the topic of alarms"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = var.kms_key_arn == null ? aws_kms_key.topic[0].arn : var.kms_key_arn
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "Publishers"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.lakehouse.account]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sns_topic_subscription" "mail" {
  for_each  = toset(var.subscribers)
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

# Glue sends no event for ERROR and EXPIRED; the alarm on no success sees those.
resource "aws_cloudwatch_event_rule" "failed" {
  name        = "${local.name}-failed-runs"
  description = "Runs of the lakehouse's Glue jobs that failed or took too long"

  event_pattern = jsonencode({
    source      = ["aws.glue"]
    detail-type = ["Glue Job State Change"]
    detail      = { jobName = values(var.jobs), state = ["FAILED", "TIMEOUT"] }
  })
}

resource "aws_cloudwatch_event_target" "failed" {
  rule      = aws_cloudwatch_event_rule.failed.name
  target_id = "topic"
  arn       = aws_sns_topic.alarms.arn

  input_transformer {
    input_paths = {
      job     = "$.detail.jobName"
      run     = "$.detail.jobRunId"
      state   = "$.detail.state"
      message = "$.detail.message"
    }
    input_template = "\"<job>, run <run>: <state>. <message> Airflow retries where that can help; its log has the reason.\""
  }

  depends_on = [aws_sns_topic_policy.alarms]
}

# Counts successes: a rule without a target is a metric (AWS/Events, TriggeredRules).
resource "aws_cloudwatch_event_rule" "succeeded" {
  count       = var.success_by_day == null ? 0 : 1
  name        = "${local.name}-loaded-months"
  description = "Successful loads, counted for the alarm on none"

  event_pattern = jsonencode({
    source      = ["aws.glue"]
    detail-type = ["Glue Job State Change"]
    detail      = { jobName = [var.jobs.clean], state = ["SUCCEEDED"] }
  })
}

# Every day outside of the window counts as good; all days of the window without a success are bad.
resource "aws_cloudwatch_metric_alarm" "no_success" {
  count               = var.success_by_day == null ? 0 : 1
  alarm_name          = "${local.name}-no-month-by-day-${var.success_by_day}"
  alarm_description   = "No month was loaded by ${var.lakehouse.job.name} from day ${coalesce(local.day, 0)} to ${var.success_by_day}. Look at the DAG's runs in Airflow."
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = local.window
  datapoints_to_alarm = local.window
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "good"
    expression  = "IF(DAY(loads) < ${coalesce(local.day, 0)} OR DAY(loads) > ${var.success_by_day}, 1, loads)"
    label       = "months loaded"
    return_data = true
  }

  metric_query {
    id         = "loads"
    expression = "FILL(runs, 0)"
    label      = "months loaded, a day"
  }

  metric_query {
    id = "runs"

    metric {
      namespace   = "AWS/Events"
      metric_name = "TriggeredRules"
      dimensions  = { RuleName = aws_cloudwatch_event_rule.succeeded[0].name }
      period      = 86400
      stat        = "Sum"
    }
  }

  lifecycle {
    precondition {
      condition     = local.day != null
      error_message = "success_by_day is set, and lakehouse.yaml's schedule.cron (${var.lakehouse.yaml.schedule.cron}) names no single day of the month: set success_by_day = null."
    }

    precondition {
      condition     = try(local.window >= 1 && local.window <= 7, true)
      error_message = "success_by_day is ${var.success_by_day}; it must be from the schedule's day (${coalesce(local.day, 0)}) to six days after it: CloudWatch looks back no further than seven days."
    }
  }
}

resource "aws_budgets_budget" "month" {
  count        = var.monthly_budget_usd == null ? 0 : 1
  name         = "${local.name}-month"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:lakehouse$%s", local.name)]
  }

  dynamic "notification" {
    for_each = { FORECASTED = 100, ACTUAL = 80 }

    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }

  depends_on = [aws_sns_topic_policy.alarms]
}

output "topic" {
  value = aws_sns_topic.alarms.arn
}
