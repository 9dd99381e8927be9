"""What a machine with a GPU tells of the course, in under ten minutes and one file."""
