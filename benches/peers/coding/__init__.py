"""Sparse codes of batches against torch, NumPy, pylops, scikit-learn and spams."""
