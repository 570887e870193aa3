"""Least squares for tall matrices, and sketches."""
