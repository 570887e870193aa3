"""What models with L1 and squared L2 penalties have in common, whatever their loss."""

from sparrot._sparrot import StopFlag
from sparrot._validation import FloatArray
from sparrot.linear_model._bounds import as_bounds
from sparrot.linear_model._model import Alphas, SparseModel, Task
from sparrot.linear_model._solve import Point, Settings, as_weights, solve


class ElasticModel(SparseModel):
    """Their parameters, and the solve."""

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
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

    def _share(self) -> object:
        return self.l1_ratio

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
            l1_ratio=self._share(),
            fit_intercept=self.fit_intercept,
            tol=self.tol,
            max_iter=self.max_iter,
            max_time=max_time,
            n_threads=n_threads,
        )
        return solve(
            task.design,
            task.targets,
            alphas,
            settings,
            sample_weight=sample,
            weights=as_weights(self.weights, task.shape[1]),
            bounds=as_bounds(getattr(self, "bounds", None), self.positive, task.shape[1]),
            loss=self._loss(task),
            start=start,
            stop_flag=stop_flag,
        )
