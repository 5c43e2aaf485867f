"""The command ``python -m lakehouse_local``."""

from lakehouse_local.cli import lakehouse_local

lakehouse_local(prog_name="lakehouse-local")
