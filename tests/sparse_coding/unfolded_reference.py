"""The unrolled networks and their losses, straight from the formulas, for arrays of any type.

Complex steps give derivatives without cancellation: ``imag(f(x + ih)) / h``.
"""

import numpy as np


def positive_part_of_sign(z):
    """Return the sign of the real part."""
    return np.where(z.real < 0, -1.0, 1.0)


def magnitude(z):
    return z * positive_part_of_sign(z)


def gate(kind, width, ratio):
    if kind == "exact":
        return np.where(ratio.real > 1, 1.0, 0.0)
    if kind == "sigmoid":
        return 1 / (1 + np.exp((1 - ratio) / width))
    u = (ratio - 1 + width) / (2 * width)
    return np.where(u.real <= 0, 0.0, np.where(u.real >= 1, 1.0, u * u * (3 - 2 * u)))


def codes(A, Y, log_steps, log_penalties, penalty, gate_of=("exact", 1.0)):
    X = np.zeros((Y.shape[0], A.shape[1]), dtype=np.result_type(log_steps, log_penalties, Y))
    for log_step, log_penalty in zip(log_steps, log_penalties, strict=True):
        step, alpha = np.exp(log_step), np.exp(log_penalty)
        V = X - step * ((X @ A.T - Y) @ A)
        if penalty == "l1":
            excess = magnitude(V) - step * alpha
            X = np.where(excess.real > 0, excess, 0.0) * positive_part_of_sign(V)
        else:
            X = V * gate(*gate_of, magnitude(V) / np.sqrt(2 * step * alpha))
    return X


def count(kind, width, X, alpha, squares):
    knee = np.sqrt(2 * alpha / squares)
    size = magnitude(X)
    if kind == "exact":
        return np.where(X != 0, alpha, 0.0)
    if kind == "exponential":
        return alpha * (1 - np.exp(-size / (width * knee)))
    return np.where(size.real < knee, alpha - squares / 2 * (knee - size) ** 2, alpha)


def loss(A, Y, truth, log_steps, log_penalties, penalty, alpha, gate_of, count_of):
    X = codes(A, Y, log_steps, log_penalties, penalty, gate_of)
    if truth is not None:
        return ((X - truth) ** 2).mean()
    R = Y - X @ A.T
    if penalty == "l1":
        penalties = alpha * magnitude(X)
    else:
        penalties = count(*count_of, X, alpha, (A**2).sum(0))
    return ((R**2).sum(1) / 2 + penalties.sum(1)).mean()


def gradient(A, Y, truth, log_steps, log_penalties, *settings):
    """Return the derivatives by both sets of logarithms, by complex steps."""
    h = 1e-30
    found = []
    for which in (0, 1):
        row = []
        for t in range(len(log_steps)):
            moved = [np.array(p, dtype=complex) for p in (log_steps, log_penalties)]
            moved[which][t] += 1j * h
            row.append(loss(A, Y, truth, *moved, *settings).imag / h)
        found.append(np.array(row))
    return found
