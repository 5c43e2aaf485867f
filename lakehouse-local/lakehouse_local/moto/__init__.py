"""Everything that knows moto's internals: its backends over a restart, its S3 over plain files, fixes."""
