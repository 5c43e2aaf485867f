"""The lakehouse's AWS on one machine (extra `local`): moto's protocol over plain files, with an Athena and a Glue that
execute. Start it with `lakehouse local` or :class:`airflow_lakehouse_provider.local_aws.server.LocalAws`."""
