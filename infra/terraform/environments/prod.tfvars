# terraform apply -var-file environments/prod.tfvars
# One lakehouse.yaml for each environment: copy it, give the buckets and the role names of their own, and name it here.
lakehouse_file     = "../../example_dags/lakehouse.yaml"
protect            = true
encryption         = "SSE-KMS"
monthly_budget_usd = 500
tags               = { environment = "prod" }
