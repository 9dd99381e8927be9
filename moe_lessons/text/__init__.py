"""Where the course's text comes from, and how it becomes tokens."""
