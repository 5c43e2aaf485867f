output "roles" {
  description = "ARNs: airflow, glue_job, crawler, dbt; fence where lakehouse.yaml names one, analyst where there are analysts."
  value       = module.access.roles
}

output "buckets" {
  value = module.storage.buckets
}

output "work_groups" {
  value = module.athena.work_groups
}

output "log_groups" {
  value = module.glue.log_groups
}

output "alarm_topic" {
  value = try(module.alarms[0].topic, null)
}

output "mwaa_web_server" {
  value = try(module.mwaa[0].web_server, null)
}

# A bucket of another account lets nobody in but by its own policy.
output "raw_bucket_policy" {
  description = "The statements that the owner of a raw bucket in another account adds to its policy."
  value = !contains(var.existing_zones, "raw") ? null : jsonencode([
    {
      Sid       = "LakehouseList"
      Effect    = "Allow"
      Principal = { AWS = [module.access.roles.airflow, module.access.roles.glue_job] }
      Action    = ["s3:ListBucket", "s3:GetBucketLocation"]
      Resource  = local.lakehouse.zones.raw.bucket_arn
    },
    {
      Sid       = "LakehouseRead"
      Effect    = "Allow"
      Principal = { AWS = [module.access.roles.airflow, module.access.roles.glue_job] }
      Action    = "s3:GetObject"
      Resource  = local.lakehouse.zones.raw.objects_arn
    },
  ])
}
