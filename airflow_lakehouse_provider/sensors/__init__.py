"""The lakehouse's sensors."""
