# terraform apply -var-file environments/dev.tfvars
lakehouse_file     = "../../example_dags/lakehouse.yaml"
protect            = false
log_retention_days = 14
success_by_day     = null
tags               = { environment = "dev" }
