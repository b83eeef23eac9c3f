"""Submissions that try what a submission should not, and a small course to hand them in to."""
