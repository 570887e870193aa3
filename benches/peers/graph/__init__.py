"""Laplacian systems beside sparse factors, conjugate gradients and multigrid."""
