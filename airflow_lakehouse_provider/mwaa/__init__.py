"""What Amazon MWAA runs, and how it gets there: a bundle of files, laid out as the artifacts zone has them."""
