"""What differs in nature, with threads."""
