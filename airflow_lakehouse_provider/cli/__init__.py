"""The `lakehouse` command; each subcommand is a module of its own, imported when it is called."""
