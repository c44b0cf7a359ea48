"""What is in an annotation file, in numbers and pictures."""
