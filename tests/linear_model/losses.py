"""The losses of logistic, Poisson and Huber regression, from their definitions."""

import numpy as np
from scipy.special import expit

from sparrot.linear_model import (
    SparseHuberRegression,
    SparseLogisticRegression,
    SparsePoissonRegression,
)


class Loss:
    """Of rows, with the estimator that minimises it and targets that are of its kind."""

    @classmethod
    def mean_loss(cls, z, y, s):
        return np.average(cls.losses(z, y), weights=s)


class Logistic(Loss):
    estimator = SparseLogisticRegression

    @staticmethod
    def targets(rng, linear):
        return (linear + rng.logistic(size=len(linear)) > 0).astype(float)

    @staticmethod
    def losses(z, y):
        return np.logaddexp(0, z) - y * z

    @staticmethod
    def slopes(z, y):
        return expit(z) - y

    least = staticmethod(np.zeros_like)


class Poisson(Loss):
    estimator = SparsePoissonRegression

    @staticmethod
    def targets(rng, linear):
        return rng.poisson(np.exp(np.clip(linear, -3, 3))).astype(float)

    @staticmethod
    def losses(z, y):
        return np.exp(z) - y * z

    @staticmethod
    def slopes(z, y):
        return np.exp(z) - y

    @staticmethod
    def least(y):
        return y - y * np.log(np.where(y > 0, y, 1))


class Huber(Loss):
    estimator = SparseHuberRegression
    delta = SparseHuberRegression().delta

    @staticmethod
    def targets(rng, linear):
        return linear + rng.normal(size=len(linear)) * rng.choice([0.1, 10.0], len(linear))

    @classmethod
    def losses(cls, z, y):
        inner = cls.slopes(z, y)
        return inner**2 / 2 + cls.delta * (np.abs(z - y) - np.abs(inner))

    @classmethod
    def slopes(cls, z, y):
        return np.clip(z - y, -cls.delta, cls.delta)

    least = staticmethod(np.zeros_like)


MODELS = [Logistic, Poisson, Huber]
