"""The lakehouse's operators."""
