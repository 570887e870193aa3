from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "ForestSweeps",
    "StopFlag",
    "block_regression_path",
    "coding_encode",
    "coding_prox",
    "coding_solve",
    "descent_solve",
    "get_num_threads",
    "graph_error_bounds",
    "graph_forest_partition",
    "graph_greedy_forest",
    "graph_message_passing",
    "graph_solve",
    "panic_for_test",
    "regression_path",
    "set_num_threads",
    "simd_level",
    "simd_levels",
    "sketching_corrected",
    "sketching_finalize",
    "sketching_leverage",
    "sketching_look",
    "sketching_looks_merged",
    "sketching_lstsq",
    "sketching_merged",
    "sketching_moments",
    "sketching_sketch",
    "sketching_softmax_regression",
    "special_finalize",
    "special_merge",
    "special_normalise",
    "special_pull_back",
    "special_run",
    "special_softmax",
    "special_sparsemax",
    "special_stablemax",
    "special_topk",
    "transport_apply",
    "transport_batch_plans",
    "transport_ksparse_evaluate",
    "transport_ksparse_plan",
    "transport_ksparse_solve",
    "transport_map",
    "transport_plan",
    "transport_round",
    "transport_route",
    "transport_solve",
    "transport_solve_batch",
    "transport_sparse_plan",
    "transport_survey",
    "unfolding_gradient",
    "unfolding_train",
    "unfolding_transform",
    "version",
]

_Vector = npt.NDArray[np.float64]
_Matrix = npt.NDArray[np.float64]
_Floats = npt.NDArray[Any]

def coding_encode(
    dictionary: Any,
    signals: npt.NDArray[Any],
    codes: npt.NDArray[Any],
    method_name: str,
    options: dict[str, Any],
    n_threads: int | None,
) -> dict[str, Any]: ...
def coding_prox(
    numbers: _Vector,
    name: str,
    shape: float | int,
    alpha: float,
    step: float,
    squares: float,
    positive: bool,
) -> None: ...
def coding_solve(
    dictionary: Any,
    signals: npt.NDArray[Any],
    codes: npt.NDArray[Any],
    is_warm: bool,
    input: Mapping[str, Any],
    max_time: float | None,
    callback: Callable[..., bool] | None,
    n_threads: int | None,
) -> dict[str, Any]: ...
def descent_solve(
    problem: tuple[Any, ...],
    penalty: list[float | npt.NDArray[np.float64]],
    x0: _Vector,
    settings: Mapping[str, Any],
    max_time: float | None,
    callback: Callable[..., bool] | None,
    n_threads: int | None,
) -> dict[str, Any]: ...
def block_regression_path(
    design: tuple[Any, ...] | npt.NDArray[Any],
    y: npt.NDArray[Any],
    path: Mapping[str, Any],
    stop_flag: StopFlag | None,
    n_threads: int | None,
) -> tuple[list[float], list[dict[str, Any]]]: ...
def regression_path(
    design: tuple[Any, ...] | npt.NDArray[Any],
    y: npt.NDArray[Any],
    path: Mapping[str, Any],
    stop_flag: StopFlag | None,
    n_threads: int | None,
) -> tuple[list[float], list[dict[str, Any]]]: ...
def special_softmax(
    x: object, axis: int | None, out: object, log: bool, method: str
) -> npt.NDArray[Any] | None: ...
def special_run(
    x: npt.NDArray[Any],
    out: npt.NDArray[Any] | None,
    axes: list[int],
    output: str,
    want: str,
    mask: npt.NDArray[np.bool_] | None,
    weights: npt.NDArray[np.float64] | None,
    temperature: float,
    all_masked: str,
    method: str,
    n_threads: int | None,
) -> npt.NDArray[Any] | None: ...
def special_normalise(
    x: npt.NDArray[Any],
    out: npt.NDArray[Any],
    axes: list[int],
    output: str,
    states: _Matrix,
    all_masked: str,
    n_threads: int | None,
) -> None: ...
def special_pull_back(
    p: npt.NDArray[Any],
    g: npt.NDArray[Any],
    out: npt.NDArray[Any],
    axes: list[int],
    scale: float,
    n_threads: int | None,
) -> None: ...
def special_stablemax(
    x: npt.NDArray[Any], out: npt.NDArray[Any], axes: list[int], n_threads: int | None
) -> None: ...
def special_sparsemax(
    x: npt.NDArray[Any], out: npt.NDArray[Any], axes: list[int], n_threads: int | None
) -> None: ...
def special_topk(
    x: npt.NDArray[Any], axes: list[int], k: int, renormalize: bool, n_threads: int | None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]: ...
def special_merge(a: _Matrix, b: _Matrix) -> _Vector: ...
def sketching_corrected(
    moments: Mapping[str, Any],
    input: Mapping[str, Any],
    at: tuple[_Matrix, _Matrix],
    found: Mapping[str, Any],
    before: tuple[int, float],
) -> dict[str, Any]: ...
def sketching_finalize(moments: Mapping[str, Any], input: Mapping[str, Any]) -> dict[str, Any]: ...
def sketching_leverage(
    rows: Any,
    input: Mapping[str, Any],
    directions: int | None,
    n_threads: int | None,
) -> _Vector: ...
def sketching_lstsq(
    rows: Any,
    b: _Matrix,
    input: Mapping[str, Any],
    sketched: tuple[tuple[str, int], int, float] | None,
    n_threads: int | None,
) -> dict[str, Any]: ...
def sketching_look(
    rows: Any,
    b: _Matrix,
    sample_weight: _Vector | None,
    point: tuple[_Matrix, _Matrix],
    n_threads: int | None,
) -> dict[str, Any]: ...
def sketching_looks_merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]: ...
def sketching_merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]: ...
def sketching_moments(
    rows: Any, b: _Matrix, sample_weight: _Vector | None, n_threads: int | None
) -> dict[str, Any]: ...
def sketching_sketch(
    rows: Any,
    kind: tuple[str, int],
    size: int,
    seed: int,
    first: int,
    n_threads: int | None,
) -> _Vector: ...
def sketching_softmax_regression(
    rows: Any,
    b: _Vector,
    start: _Vector,
    ridge: float,
    sketched: tuple[tuple[str, int], int, int] | None,
    tol: float,
    max_iter: int,
    n_threads: int | None,
) -> dict[str, Any]: ...
def special_finalize(states: _Matrix) -> _Vector: ...
def version() -> str: ...
def simd_level() -> str: ...
def simd_levels() -> list[str]: ...
def get_num_threads() -> int: ...
def set_num_threads(limit: int) -> None: ...
def panic_for_test(n_threads: int) -> None: ...
def transport_survey(
    cost: Any, a: _Vector, b: _Vector, stores_plan: bool, n_threads: int | None
) -> tuple[float, float, float, tuple[int, int, float] | None]: ...
def transport_solve(
    cost: Any,
    a: _Vector,
    b: _Vector,
    relaxation: tuple[float, float, _Vector, _Vector, float] | None,
    regs: list[float],
    method: tuple[Any, ...],
    init: tuple[_Vector, _Vector] | None,
    tol: float,
    max_iter: int,
    max_time: float | None,
    callback: Callable[..., bool] | None,
    n_threads: int | None,
) -> list[dict[str, Any]]: ...
def transport_ksparse_evaluate(
    problem: Mapping[str, Any], alpha: _Vector, beta: _Vector | None
) -> tuple[float, _Vector, _Vector]: ...
def transport_ksparse_plan(
    problem: Mapping[str, Any], alpha: _Vector, beta: _Vector | None
) -> tuple[_Vector, npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...
def transport_ksparse_solve(
    problem: Mapping[str, Any],
    range: float,
    init: _Vector | None,
    recover: str,
    tol: float,
    marginal_tol: float,
    max_iter: int,
    max_time: float | None,
    callback: Callable[..., bool] | None,
) -> dict[str, Any]: ...
def transport_solve_batch(
    batch: Mapping[str, Any],
    method: tuple[Any, ...],
    tol: float,
    max_iter: int,
    max_time: float | None,
) -> dict[str, Any]: ...
def transport_batch_plans(
    batch: Mapping[str, Any], f: _Matrix, g: _Matrix, out: npt.NDArray[Any]
) -> None: ...
def transport_plan(plan: Mapping[str, Any], out: npt.NDArray[Any]) -> None: ...
def transport_sparse_plan(
    plan: Mapping[str, Any], threshold: float
) -> tuple[_Vector, npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...
def transport_apply(plan: Mapping[str, Any], vectors: _Matrix, transpose: bool) -> _Vector: ...
def transport_map(
    cost: Any, g: _Vector, reg: float, vectors: _Matrix, n_threads: int | None
) -> _Vector: ...
def transport_round(plan: _Matrix, a: _Vector, b: _Vector, n_threads: int | None) -> None: ...
def transport_route(
    scores: npt.NDArray[Any], capacities: npt.NDArray[np.int64], top_k: int, n_threads: int | None
) -> dict[str, Any]: ...

@final
class StopFlag:
    def __new__(cls) -> StopFlag: ...
    def set(self) -> None: ...

@final
class ForestSweeps:
    def __new__(cls, matrix: Any) -> ForestSweeps: ...
    @property
    def n_forests(self) -> int: ...
    def sweep(self, x: _Matrix, b: _Matrix, forward: bool, backward: bool, times: int) -> None: ...

def graph_solve(
    problem: Mapping[str, Any],
    x: _Matrix,
    method: str,
    tol: float,
    max_iter: int,
    max_time: float | None,
) -> dict[str, Any]: ...
def graph_error_bounds(problem: Mapping[str, Any], x: _Matrix) -> _Vector: ...
def graph_forest_partition(
    matrix: Any, order: npt.NDArray[np.uint32]
) -> list[npt.NDArray[np.int64]]: ...
def graph_greedy_forest(matrix: Any, order: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]: ...
def graph_message_passing(matrix: Any, x: _Matrix) -> None: ...
def unfolding_gradient(
    data: tuple[_Floats, _Floats, _Floats | None],
    model: Mapping[str, Any],
    log_steps: list[float],
    log_alphas: list[float],
    n_threads: int | None,
) -> tuple[float, list[float], list[float]]: ...
def unfolding_train(
    data: tuple[_Floats, _Floats, _Floats | None],
    model: Mapping[str, Any],
    schedule: Mapping[str, Any],
    max_time: float | None,
    callback: Callable[..., bool] | None,
    n_threads: int | None,
) -> tuple[dict[str, Any], BaseException | None]: ...
def unfolding_transform(
    data: tuple[_Floats, _Floats, _Floats | None],
    penalty: str,
    log_steps: list[float],
    log_alphas: list[float],
    n_threads: int | None,
) -> tuple[_Floats, bool, int]: ...
