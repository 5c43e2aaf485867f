# What lakehouse.yaml names, with the ARNs that follow from it. Makes nothing and asks nobody, so that the provider's own
# settings can come from here; every other module takes its names here too.

variable "file" {
  type = string
}

variable "name" {
  type = string
}

locals {
  yaml      = yamldecode(file(var.file))
  region    = local.yaml.region
  partition = split(":", local.yaml.glue.role)[1]
  account   = split(":", local.yaml.glue.role)[4]

  # arn:aws:iam::123456789012:role/some/path/name
  role_parts = split("/", split(":role/", local.yaml.glue.role)[1])
  role_name  = element(local.role_parts, length(local.role_parts) - 1)
  role_path  = length(local.role_parts) == 1 ? "/" : "/${join("/", slice(local.role_parts, 0, length(local.role_parts) - 1))}/"

  name = coalesce(var.name, trimsuffix(local.role_name, "-glue"))

  fence_arn   = try(local.yaml.dbt.fence_role, null)
  fence_parts = local.fence_arn == null ? [""] : split("/", try(split(":role/", local.fence_arn)[1], ""))

  zones = { for zone, uri in local.yaml.zones : zone => {
    uri    = trimsuffix(uri, "/")
    bucket = split("/", trimprefix(uri, "s3://"))[0]
    # "" or "some/prefix/"
    prefix = join("", [for part in slice(split("/", trimsuffix(trimprefix(uri, "s3://"), "/")), 1, length(split("/", trimsuffix(trimprefix(uri, "s3://"), "/")))) : "${part}/"])
  } }

  glue = "arn:${local.partition}:glue:${local.region}:${local.account}"
  # The folders of the artifacts zone: who may write where is what keeps a job from changing code.
  folders = {
    scripts  = "glue_scripts/" # code: `lakehouse mwaa sync` or a deployer writes it, jobs read it
    mwaa     = "mwaa/"         # code: DAGs, plugins.zip, requirements.txt, startup.sh
    reports  = "reports/"      # the cleaning job writes, Airflow reads
    dbt      = "dbt/"          # projects handed over and artifacts handed back
    analysts = "analysts/"     # of the results zone: what analysts' queries answer

    generations = "generations/" # of the curated zone: what dbt builds under the gate, and stays when it is published
    attempts    = "attempts/"    # of the curated zone: what is known of each such build
  }
}

output "value" {
  description = "Everything that lakehouse.yaml names, and the ARNs that follow."

  value = {
    name      = local.name
    region    = local.region
    partition = local.partition
    account   = local.account
    yaml      = local.yaml
    folders   = local.folders

    zones = { for name, zone in local.zones : name => merge(zone, {
      bucket_arn  = "arn:${local.partition}:s3:::${zone.bucket}"
      objects_arn = "arn:${local.partition}:s3:::${zone.bucket}/${zone.prefix}*"
      root_arn    = "arn:${local.partition}:s3:::${zone.bucket}/${zone.prefix}"
    }) }

    # dbt's under the gate; null where lakehouse.yaml names none.
    fence_role = local.fence_arn == null ? null : {
      name = element(local.fence_parts, length(local.fence_parts) - 1)
      path = length(local.fence_parts) == 1 ? "/" : "/${join("/", slice(local.fence_parts, 0, length(local.fence_parts) - 1))}/"
      arn  = local.fence_arn
    }
    glue_role = { name = local.role_name, path = local.role_path, arn = local.yaml.glue.role }
    # Where roles are named by this configuration, they lie beside the Glue job's.
    role_arn_prefix = "arn:${local.partition}:iam::${local.account}:role${local.role_path}${local.name}-"

    job      = { name = local.yaml.glue.job, arn = "${local.glue}:job/${local.yaml.glue.job}" }
    dbt_job  = try({ name = local.yaml.dbt.glue_job, arn = "${local.glue}:job/${local.yaml.dbt.glue_job}" }, null)
    crawler  = { name = local.yaml.glue.crawler, arn = "${local.glue}:crawler/${local.yaml.glue.crawler}" }
    catalog  = "${local.glue}:catalog"
    database = "${local.glue}:database"
    table    = "${local.glue}:table"

    databases = {
      cleaned  = local.yaml.databases.cleaned
      marts    = local.yaml.databases.marts
      failures = "${local.yaml.databases.marts}_dbt_test__audit" # dbt's, for tests that store their failures
      attempts = "${local.yaml.databases.marts}__audit_*"        # audit schemas: what dbt builds before it is published
    }

    work_group         = { name = local.yaml.athena.work_group, arn = "arn:${local.partition}:athena:${local.region}:${local.account}:workgroup/${local.yaml.athena.work_group}" }
    analyst_work_group = { name = "${local.name}-analysts", arn = "arn:${local.partition}:athena:${local.region}:${local.account}:workgroup/${local.name}-analysts" }
    data_catalog       = "arn:${local.partition}:athena:${local.region}:${local.account}:datacatalog/AwsDataCatalog"

    # A prefix of our own: /aws-glue/jobs belongs to the whole account.
    log_group_prefix = "/lakehouse/${local.name}"
    logs             = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group"
  }

  precondition {
    condition     = can(regex("^arn:[a-z-]+:iam::\\d{12}:role/", local.yaml.glue.role))
    error_message = "lakehouse.yaml: glue.role is ${local.yaml.glue.role}; it must be the ARN of an IAM role."
  }

  precondition {
    condition     = local.fence_arn == null || can(regex("^arn:${local.partition}:iam::${local.account}:role/", local.fence_arn))
    error_message = "lakehouse.yaml: dbt.fence_role is ${coalesce(local.fence_arn, "null")}; it must be the ARN of an IAM role of account ${local.account}, which glue.role is of."
  }

  # One role for both would fence nothing in, or let a job do too little.
  precondition {
    condition     = local.fence_arn == null || !contains([local.yaml.glue.role, "arn:${local.partition}:iam::${local.account}:role${local.role_path}${local.name}-dbt"], coalesce(local.fence_arn, "none"))
    error_message = "lakehouse.yaml: dbt.fence_role is ${coalesce(local.fence_arn, "null")}, which is the role of a job or of dbt itself: give it a name of its own, such as ${local.name}-dbt-fence."
  }

  precondition {
    condition     = alltrue([for zone in ["raw", "cleaned", "curated", "results", "artifacts"] : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/|$)", local.yaml.zones[zone]))])
    error_message = "lakehouse.yaml: each of zones.raw, cleaned, curated, results and artifacts must be s3://bucket or s3://bucket/prefix."
  }

  precondition {
    condition     = length(local.name) <= 40 && can(regex("^[a-z][a-z0-9-]*$", local.name))
    error_message = "The name is ${local.name}; it must be up to 40 of a-z, 0-9 and '-', beginning with a letter: set the variable name."
  }

  # What lies under an expiring prefix disappears.
  precondition {
    condition     = alltrue([for name, zone in local.zones : name == "results" || !startswith("${zone.uri}/", "${local.zones.results.uri}/")])
    error_message = "lakehouse.yaml: ${join(", ", [for name, zone in local.zones : "zones.${name}" if name != "results" && startswith("${zone.uri}/", "${local.zones.results.uri}/")])} lies under zones.results (${local.zones.results.uri}), whose objects expire: give it a bucket or prefix of its own."
  }

  # Grants are by zone: one zone inside another would open it to the other's readers.
  precondition {
    condition     = alltrue([for a, one in local.zones : alltrue([for b, other in local.zones : a == b || !startswith("${one.uri}/", "${other.uri}/")])])
    error_message = "lakehouse.yaml: no zone may lie inside another, for access is given by zone: give each a bucket or prefix of its own."
  }
}
