"""What this machine does per second: the course's own layers beside each other and beside other people's."""
