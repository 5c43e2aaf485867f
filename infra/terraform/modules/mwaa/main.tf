# An Airflow environment of MWAA in a network that is there already. Its code lies in the artifacts zone, where
# `lakehouse mwaa sync` puts it and nobody else.

locals {
  code  = "${var.lakehouse.zones.artifacts.prefix}${var.lakehouse.folders.mwaa}"
  given = length(var.environment.security_group_ids) > 0
}

data "aws_subnet" "private" {
  for_each = toset(var.environment.subnet_ids)
  id       = each.value
}

resource "aws_security_group" "mwaa" {
  count       = local.given ? 0 : 1
  name        = var.security_group_name
  description = "MWAA environment ${var.environment.name}"
  vpc_id      = values(data.aws_subnet.private)[0].vpc_id
}

# Its parts talk to each other: database, queue and web server are endpoints inside the group.
resource "aws_vpc_security_group_ingress_rule" "itself" {
  count                        = local.given ? 0 : 1
  security_group_id            = aws_security_group.mwaa[0].id
  referenced_security_group_id = aws_security_group.mwaa[0].id
  ip_protocol                  = "-1"
  description                  = "The environment's own parts"
}

resource "aws_vpc_security_group_egress_rule" "itself" {
  count                        = local.given ? 0 : 1
  security_group_id            = aws_security_group.mwaa[0].id
  referenced_security_group_id = aws_security_group.mwaa[0].id
  ip_protocol                  = "-1"
  description                  = "The environment's own parts"
}

resource "aws_vpc_security_group_egress_rule" "https" {
  count             = local.given ? 0 : 1
  security_group_id = aws_security_group.mwaa[0].id
  cidr_ipv4         = "0.0.0.0/0"
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
  description       = "AWS's services, and PyPI when workers install"
}

resource "aws_mwaa_environment" "airflow" {
  name                            = var.environment.name
  airflow_version                 = var.environment.airflow_version
  environment_class               = var.environment.class
  min_workers                     = var.environment.min_workers
  max_workers                     = var.environment.max_workers
  schedulers                      = var.environment.schedulers
  execution_role_arn              = var.role_arn
  kms_key                         = var.environment.kms_key_arn
  webserver_access_mode           = var.environment.public_web_server ? "PUBLIC_ONLY" : "PRIVATE_ONLY"
  weekly_maintenance_window_start = var.environment.maintenance_window

  source_bucket_arn                = var.lakehouse.zones.artifacts.bucket_arn
  dag_s3_path                      = "${local.code}dags"
  plugins_s3_path                  = "${local.code}plugins.zip"
  plugins_s3_object_version        = var.environment.versions.plugins
  requirements_s3_path             = "${local.code}requirements.txt"
  requirements_s3_object_version   = var.environment.versions.requirements
  startup_script_s3_path           = "${local.code}startup.sh"
  startup_script_s3_object_version = var.environment.versions.startup_script

  airflow_configuration_options = var.environment.airflow_configuration

  network_configuration {
    subnet_ids         = var.environment.subnet_ids
    security_group_ids = local.given ? var.environment.security_group_ids : [aws_security_group.mwaa[0].id]
  }

  logging_configuration {
    dag_processing_logs {
      enabled   = true
      log_level = "WARNING"
    }

    scheduler_logs {
      enabled   = true
      log_level = "WARNING"
    }

    task_logs {
      enabled   = true
      log_level = "INFO"
    }

    webserver_logs {
      enabled   = true
      log_level = "WARNING"
    }

    # The start-up script writes here.
    worker_logs {
      enabled   = true
      log_level = "INFO"
    }
  }

  lifecycle {
    precondition {
      condition     = length(distinct([for subnet in data.aws_subnet.private : subnet.availability_zone])) == 2
      error_message = "mwaa.subnet_ids must be two private subnets in two availability zones."
    }
  }
}

output "web_server" {
  value = aws_mwaa_environment.airflow.webserver_url
}
