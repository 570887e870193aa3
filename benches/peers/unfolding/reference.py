"""The same training in torch: one network, one loss, one optimiser, with automatic derivatives.

Written as a user of torch would: products with the dictionary and its transpose, which at these
sizes take torch less time than the Gram matrix.
"""

import math

import numpy as np


class Torch:
    """Trains all layers at once, batch by batch, in the order of the rows it is given."""

    def __init__(self, A, Y, truth, *, penalty, loss, alpha, n_layers, rate):
        import torch

        self.torch = torch
        self.A, self.Y, self.truth = (torch.tensor(array) for array in (A, Y, truth))
        self.penalty, self.loss, self.alpha, self.rate = penalty, loss, alpha, rate
        step = math.log(1 / np.linalg.norm(A.astype(np.float64), 2) ** 2)
        values = (torch.full((n_layers,), start) for start in (step, math.log(alpha)))
        self.parameters = [value.requires_grad_() for value in values]
        self.squares = (self.A**2).sum(0)
        self.optimizer = torch.optim.Adam(self.parameters, lr=rate)

    def codes(self, Y, width=0.5):
        """Return codes; the gate of a hard threshold has that width."""
        torch, A = self.torch, self.A
        X = torch.zeros(len(Y), A.shape[1])
        for log_step, log_penalty in zip(*self.parameters, strict=True):
            step, alpha = log_step.exp(), log_penalty.exp()
            V = X - step * ((X @ A.T - Y) @ A)
            if self.penalty == "l1":
                X = torch.sign(V) * torch.relu(V.abs() - step * alpha)
            else:
                ratio = V.abs() / torch.sqrt(2 * step * alpha)
                u = torch.clamp((ratio - 1 + width) / (2 * width), 0, 1)
                X = V * u * u * (3 - 2 * u)
        return X

    def value(self, X, rows):
        torch = self.torch
        if self.loss == "supervised":
            return ((X - self.truth[rows]) ** 2).mean()
        if self.penalty == "l1":
            penalties = self.alpha * X.abs()
        else:
            knee = torch.sqrt(2 * self.alpha / self.squares)
            penalties = self.alpha - self.squares / 2 * torch.relu(knee - X.abs()) ** 2
        return (((self.Y[rows] - X @ self.A.T) ** 2).sum(1) / 2 + penalties.sum(1)).mean()

    def epoch(self, batches, first, total):
        """Take a step for each batch; the rate falls along half a cosine, and gates narrow."""
        for b, rows in enumerate(batches):
            done = (first + b) / total
            self.optimizer.param_groups[0]["lr"] = self.rate * (1 + math.cos(math.pi * done)) / 2
            self.optimizer.zero_grad()
            value = self.value(self.codes(self.Y[rows], 0.5 * (1 - 0.9 * done)), rows)
            value.backward()
            self.optimizer.step()

    def final_loss(self) -> float:
        with self.torch.no_grad():
            rows = self.torch.arange(len(self.Y))
            return self.value(self.codes(self.Y), rows).item()
