"""Placeholder."""
cross_entropy = None
