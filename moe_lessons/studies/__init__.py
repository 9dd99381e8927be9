"""What was computed once, ships in data/ and is read by lessons: each file here makes one of them again."""
