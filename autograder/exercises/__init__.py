"""What is checked: one module a chapter."""
