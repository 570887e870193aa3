"""What models with L1 and squared L2 penalties have in common, whatever their loss.

Some of them take the norms of groups instead of the L1 norm.
"""

from sparrot._sparrot import StopFlag
from sparrot._validation import FloatArray, as_flag
from sparrot.errors import InvalidInputError
from sparrot.linear_model._blocks import as_group_weights, as_groups
from sparrot.linear_model._bounds import as_bounds
from sparrot.linear_model._model import Alphas, SparseModel, Task
from sparrot.linear_model._solve import Groups, Point, Settings, as_weights, solve


class ElasticModel(SparseModel):
    """Their parameters, and the solve."""

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        groups: object = None,
        weights: object = None,
        positive: bool = False,
        bounds: object = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.groups = groups
        self.weights = weights
        self.positive = positive
        self.bounds = bounds
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.warm_start = warm_start
        self.n_threads = n_threads

    def _loss(self, task: Task) -> str | tuple[str, float]:
        del task
        return "least-squares"

    def _structure(self, columns: int) -> tuple[Groups | None, FloatArray | None]:
        """Return the groups, if there are some, and the weights, of them or of the columns."""
        if self.groups is None:
            return None, as_weights(self.weights, columns)
        if as_flag(self.positive, "positive") or self.bounds is not None:
            other = "positive=True" if self.positive else "bounds"
            raise InvalidInputError(
                f"groups are given with {other}: norms of groups are offered without; leave one out"
            )
        groups = as_groups(self.groups, columns)
        return groups, as_group_weights(self.weights, groups.sizes)

    def _solve(
        self,
        task: Task,
        alphas: Alphas,
        sample: FloatArray | None,
        *,
        start: FloatArray | None = None,
        stop_flag: StopFlag | None = None,
        max_time: float | None = None,
        n_threads: int | None = None,
    ) -> list[Point]:
        settings = Settings.of(
            l1_ratio=self.l1_ratio,
            fit_intercept=self.fit_intercept,
            tol=self.tol,
            max_iter=self.max_iter,
            max_time=max_time,
            n_threads=n_threads,
        )
        groups, weights = self._structure(task.shape[1])
        return solve(
            task.design,
            task.targets,
            alphas,
            settings,
            sample_weight=sample,
            groups=groups,
            weights=weights,
            bounds=as_bounds(self.bounds, self.positive, task.shape[1]),
            loss=self._loss(task),
            start=start,
            stop_flag=stop_flag,
        )
