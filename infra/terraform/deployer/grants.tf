# What apply, plan and destroy call, as AWS's provider 5.100 does, on what this lakehouse names.

locals {
  arn     = "arn:${local.l.partition}"
  ec2     = "${local.arn}:ec2:${local.l.region}:${local.l.account}"
  buckets = distinct([for zone in local.l.zones : zone.bucket_arn])
  code    = [for folder in ["scripts", "mwaa"] : "${local.l.zones.artifacts.root_arn}${local.l.folders[folder]}*"]
  owned   = { "StringEquals aws:ResourceTag/lakehouse" = [local.l.name] }

  # dbt makes the database of failures itself, and a build under the gate its own.
  made_databases = [for name in ["cleaned", "marts"] : local.l.databases[name]]
  databases      = [for name in local.made_databases : "${local.l.database}/${name}"]
  jobs           = concat([local.l.job.arn], [for job in [local.l.dbt_job] : job.arn if job != null])

  data = concat(
    [
      {
        sid = "Buckets"
        actions = [
          "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:GetAccelerateConfiguration",
          "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLogging",
          "s3:GetBucketObjectLockConfiguration", "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy",
          "s3:GetBucketPublicAccessBlock", "s3:GetBucketRequestPayment", "s3:GetBucketTagging",
          "s3:GetBucketVersioning", "s3:GetBucketWebsite", "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:PutBucketLogging",
          "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
          "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration",
          "s3:PutLifecycleConfiguration",
        ]
        resources = local.buckets
      },
      {
        # `lakehouse mwaa sync`
        sid       = "Code"
        actions   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        resources = local.code
      },
      {
        sid       = "Catalogue"
        actions   = ["glue:CreateDatabase", "glue:DeleteDatabase", "glue:GetDatabase"]
        resources = [local.l.catalog]
      },
      {
        sid       = "Databases"
        actions   = ["glue:CreateDatabase", "glue:DeleteDatabase", "glue:GetDatabase", "glue:GetTags", "glue:TagResource", "glue:UntagResource"]
        resources = local.databases
      },
      {
        # With a database go its tables.
        sid       = "DatabasesTables"
        actions   = ["glue:DeleteDatabase"]
        resources = [for name in local.made_databases : "${local.l.table}/${name}/*"]
      },
      {
        sid       = "Jobs"
        actions   = ["glue:CreateJob", "glue:DeleteJob", "glue:GetJob", "glue:GetTags", "glue:TagResource", "glue:UntagResource", "glue:UpdateJob"]
        resources = local.jobs
      },
      {
        sid       = "Crawler"
        actions   = ["glue:CreateCrawler", "glue:DeleteCrawler", "glue:GetCrawler", "glue:GetTags", "glue:TagResource", "glue:UntagResource", "glue:UpdateCrawler"]
        resources = [local.l.crawler.arn]
      },
      {
        sid = "WorkGroups"
        actions = [
          "athena:CreateWorkGroup", "athena:DeleteWorkGroup", "athena:GetWorkGroup", "athena:ListTagsForResource",
          "athena:TagResource", "athena:UntagResource", "athena:UpdateWorkGroup",
        ]
        resources = [local.l.work_group.arn, local.l.analyst_work_group.arn]
      },
    ],
    [for grant in [
      {
        sid       = "EmptyBuckets"
        actions   = ["s3:ListBucketVersions"]
        resources = local.buckets
      },
      {
        sid       = "DeleteObjects"
        actions   = ["s3:DeleteObjectVersion"]
        resources = [for bucket in local.buckets : "${bucket}/*"]
      },
    ] : grant if var.may_delete_data],
    [for grant in [
      {
        sid       = "State"
        actions   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        resources = ["${local.arn}:s3:::${coalesce(var.state_bucket, "none")}/${var.state_key_prefix}*"]
      },
      {
        sid       = "StateBucket"
        actions   = ["s3:ListBucket"]
        resources = ["${local.arn}:s3:::${coalesce(var.state_bucket, "none")}"]
      },
    ] : grant if var.state_bucket != null],
  )

  # The roles by name, so that the deployer's own is not among them.
  fence = [for role in [local.l.fence_role] : role.arn if role != null]
  roles = concat([local.l.glue_role.arn], local.fence, [for role in ["airflow", "crawler", "dbt", "analyst"] : "${local.l.role_arn_prefix}${role}"])

  access = concat(
    [
      {
        # None without the boundary: a deployer makes no role that can do more than the lakehouse needs.
        sid       = "RolesInBounds"
        actions   = ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy"]
        resources = local.roles
        when      = { "StringEquals iam:PermissionsBoundary" = ["${local.arn}:iam::${local.l.account}:policy${local.l.glue_role.path}${local.l.name}-boundary"] }
      },
      {
        sid = "Roles"
        actions = [
          "iam:DeleteRole", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
          "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:TagRole", "iam:UntagRole",
        ]
        resources = local.roles
      },
      {
        # Whom these trust is a variable.
        sid       = "Trust"
        actions   = ["iam:UpdateAssumeRolePolicy"]
        resources = [for role in ["airflow", "analyst"] : "${local.l.role_arn_prefix}${role}"]
      },
      {
        sid       = "PassToGlue"
        actions   = ["iam:PassRole"]
        resources = [local.l.glue_role.arn, "${local.l.role_arn_prefix}crawler", "${local.l.role_arn_prefix}dbt"]
        when      = { "StringEquals iam:PassedToService" = ["glue.amazonaws.com"] }
      },
    ],
    [for grant in local.mwaa : grant if var.mwaa_environment != null],
  )

  mwaa = [
    {
      sid       = "PassToMwaa"
      actions   = ["iam:PassRole"]
      resources = ["${local.l.role_arn_prefix}airflow"]
      when      = { "StringEquals iam:PassedToService" = ["airflow.amazonaws.com", "airflow-env.amazonaws.com"] }
    },
    {
      sid       = "MwaaLinkedRole"
      actions   = ["iam:CreateServiceLinkedRole"]
      resources = ["${local.arn}:iam::${local.l.account}:role/aws-service-role/airflow.amazonaws.com/AWSServiceRoleForAmazonMWAA"]
      when      = { "StringEquals iam:AWSServiceName" = ["airflow.amazonaws.com"] }
    },
    {
      sid = "MwaaEnvironment"
      actions = [
        "airflow:CreateEnvironment", "airflow:DeleteEnvironment", "airflow:GetEnvironment", "airflow:ListTagsForResource",
        "airflow:TagResource", "airflow:UntagResource", "airflow:UpdateEnvironment",
      ]
      resources = ["${local.arn}:airflow:${local.l.region}:${local.l.account}:environment/${coalesce(var.mwaa_environment, "none")}"]
    },
    {
      # EC2's Describe calls take no resource.
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
      sid = "MwaaNetworkLook"
      actions = [
        "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints", "ec2:DescribeVpcs",
      ]
      resources = ["*"]
    },
    {
      sid = "MwaaSecurityGroup"
      actions = [
        "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateSecurityGroup",
        "ec2:DeleteSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
      ]
      resources = [for kind in ["security-group", "security-group-rule"] : "${local.ec2}:${kind}/*"]
    },
    {
      sid       = "MwaaSecurityGroupPlace"
      actions   = ["ec2:CreateSecurityGroup"]
      resources = ["${local.ec2}:vpc/*"]
    },
    {
      sid       = "MwaaEndpoints"
      actions   = ["ec2:CreateVpcEndpoint"]
      resources = [for kind in ["security-group", "subnet", "vpc", "vpc-endpoint"] : "${local.ec2}:${kind}/*"]
    },
    {
      sid       = "MwaaTags"
      actions   = ["ec2:CreateTags", "ec2:DeleteTags"]
      resources = [for kind in ["security-group", "security-group-rule", "vpc-endpoint"] : "${local.ec2}:${kind}/*"]
    },
  ]

  watch = [
    {
      sid = "JobLogs"
      actions = [
        "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DisassociateKmsKey",
        "logs:ListTagsForResource", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
      ]
      resources = ["${local.l.logs}:${local.l.log_group_prefix}/*"]
    },
    {
      # A list by prefix is asked of the account's groups.
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
      sid       = "JobLogList"
      actions   = ["logs:DescribeLogGroups"]
      resources = ["*"]
    },
    {
      sid = "Rules"
      actions = [
        "events:DeleteRule", "events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule",
        "events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:TagResource", "events:UntagResource",
      ]
      resources = ["${local.arn}:events:${local.l.region}:${local.l.account}:rule/${local.l.name}-*"]
    },
    {
      sid = "Topic"
      actions = [
        "sns:CreateTopic", "sns:DeleteTopic", "sns:GetTopicAttributes", "sns:ListTagsForResource",
        "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:UntagResource",
      ]
      resources = ["${local.arn}:sns:${local.l.region}:${local.l.account}:${local.l.name}-alarms"]
    },
    {
      # Of a subscription, which is no resource of IAM's.
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
      sid       = "Subscriptions"
      actions   = ["sns:GetSubscriptionAttributes", "sns:Unsubscribe"]
      resources = ["*"]
    },
    {
      sid = "Alarms"
      actions = [
        "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource",
        "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource",
      ]
      resources = ["${local.arn}:cloudwatch:${local.l.region}:${local.l.account}:alarm:${local.l.name}-*"]
    },
    {
      sid       = "Budget"
      actions   = ["budgets:ListTagsForResource", "budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource", "budgets:ViewBudget"]
      resources = ["${local.arn}:budgets::${local.l.account}:budget/${local.l.name}-month"]
    },
    {
      # Neither is about a key that there is already.
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
      sid       = "NewKey"
      actions   = ["kms:CreateKey"]
      resources = ["*"]
      when      = { "StringEquals aws:RequestTag/lakehouse" = [local.l.name] }
    },
    {
      sid       = "AliasList"
      actions   = ["kms:ListAliases"]
      resources = ["*"]
    },
    {
      sid = "Key"
      actions = [
        "kms:CreateAlias", "kms:CreateGrant", "kms:Decrypt", "kms:DeleteAlias", "kms:DescribeKey",
        "kms:EnableKeyRotation", "kms:GenerateDataKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
        "kms:ListResourceTags", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
      ]
      resources = ["${local.arn}:kms:${local.l.region}:${local.l.account}:key/*"]
      when      = local.owned
    },
    {
      sid       = "Alias"
      actions   = ["kms:CreateAlias", "kms:DeleteAlias"]
      resources = ["${local.arn}:kms:${local.l.region}:${local.l.account}:alias/${local.l.name}"]
    },
  ]
}
