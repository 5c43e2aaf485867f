"""The files of Amazon MWAA and the Glue jobs: built as a bundle with the layout of the artifacts zone, and uploaded."""
