"""The objects of the local S3 as plain files."""
