"""Penalties, proximal steps and certificates, written without sparrot."""

import numpy as np


def phi(name, x, alpha, *, gamma=3.0, a=3.7, norm=1.0):
    x = np.abs(x)
    if name == "cel0":
        name, alpha, gamma = "mcp", np.sqrt(2 * alpha) * norm, 1 / norm**2
    if name == "l1":
        return alpha * x
    if name == "l0":
        return alpha * (x != 0)
    if name == "mcp":
        return np.where(x <= gamma * alpha, alpha * x - x**2 / (2 * gamma), gamma * alpha**2 / 2)
    if name == "scad":
        middle = (2 * a * alpha * x - x**2 - alpha**2) / (2 * (a - 1))
        far = alpha**2 * (a + 1) / 2
        return np.where(x <= alpha, alpha * x, np.where(x <= a * alpha, middle, far))
    return alpha * x ** {"l1/2": 1 / 2, "l2/3": 2 / 3}[name]


def objective(A, y, x, name, alpha, **shape):
    norms = np.linalg.norm(A, axis=0)
    paid = sum(phi(name, v, alpha, norm=n, **shape) for v, n in zip(x, norms, strict=True))
    return ((y - A @ x) ** 2).sum() / 2 + paid


def relative_gap(A, y, x, alpha, *, positive=False):
    A, y, x = (np.asarray(v, dtype=np.float64) for v in (A, y, x))
    residual = y - A @ x
    products = A.T @ residual
    most = products.max() if positive else np.abs(products).max()
    away = y - min(1.0, alpha / max(most, 1e-300)) * residual
    primal = residual @ residual / 2 + alpha * np.abs(x).sum()
    return (primal - (y @ y - away @ away) / 2) / (y @ y / 2)


def plain_ista(A, Y, alpha, step, iterations):
    x = np.zeros((len(Y), A.shape[1]), Y.dtype)
    for _ in range(iterations):
        v = x - step * ((x @ A.T - Y) @ A)
        x = np.sign(v) * np.maximum(np.abs(v) - step * alpha, 0)
    return x


def plain_fista(A, Y, alpha, step, iterations):
    x = np.zeros((len(Y), A.shape[1]), Y.dtype)
    old, t = x, 1.0
    for _ in range(iterations):
        following = (1 + np.sqrt(1 + 4 * t * t)) / 2
        z = x + (t - 1) / following * (x - old)
        v = z - step * ((z @ A.T - Y) @ A)
        x, old, t = np.sign(v) * np.maximum(np.abs(v) - step * alpha, 0), x, following
    return x
