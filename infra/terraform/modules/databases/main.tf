# The two databases of the Data Catalog: the crawler's and dbt's.

variable "lakehouse" {
  description = "Of module lakehouse."
  type        = any
}

resource "aws_glue_catalog_database" "zone" {
  for_each = {
    cleaned = "What the crawler finds in the cleaned zone"
    marts   = "What dbt builds in the curated zone"
  }

  name        = var.lakehouse.databases[each.key]
  description = each.value
}

output "names" {
  value = { for zone, database in aws_glue_catalog_database.zone : zone => database.name }
}
