"""How fast entropic transport is, in how much memory and how many iterations.

sparrot is imported in ``setup`` alone, so that a commit that cannot be imported fails in its
benchmarks and not in the discovery of them.
"""

from abc import ABC, abstractmethod

import numpy as np

METHODS = ("auto", "sns", "sinkhorn")
TOLERANCE = 1e-6


class Transport(ABC):
    """What is measured of every problem; being abstract, no benchmark itself."""

    params = (METHODS,)
    param_names = ("method",)
    timeout = 120

    @abstractmethod
    def problem(self):
        """Return the cost and the regularisation."""

    def setup(self, method):
        from sparrot import transport

        cost, reg = self.problem()
        self.solve = lambda: transport.solve(cost, reg=reg, tol=TOLERANCE, method=method)

    def time_solve(self, method):
        self.solve()

    def peakmem_solve(self, method):
        self.solve()

    def track_iterations(self, method):
        return self.solve().n_iter

    track_iterations.unit = "iterations"

    def track_marginal_error(self, method):
        plan = self.solve().plan
        n, m = plan.shape
        return np.abs(plan.sum(1) - 1 / n).sum() + np.abs(plan.sum(0) - 1 / m).sum()

    track_marginal_error.unit = "share of the mass"


class Assignment(Transport):
    """Random assignment, n = 500: a sparse plan, where Newton steps on few entries do well."""

    def problem(self):
        return np.random.default_rng(0).random((500, 500)), 1 / 1200


class Colour(Transport):
    """Pixels of two photographs, n = 1000: a dense plan."""

    def problem(self):
        from scipy.spatial.distance import cdist
        from sklearn.datasets import load_sample_images

        rng = np.random.default_rng(0)
        colours = (image.reshape(-1, 3) / 255 for image in load_sample_images().images)
        source, target = (c[rng.choice(len(c), 1000, replace=False)] for c in colours)
        cost = cdist(source, target, "sqeuclidean")
        return cost / cost.max(), 1e-2
