"""Checks of a machine, of AWS permissions and of settings: on a laptop, or by the DAG lakehouse_self_check."""
