"""What k-sparse transport is, by definition, and problems to try it on."""

import itertools

import numpy as np
from scipy.optimize import linprog

from tests.conftest import marginal_error, uniform

# What sums of a few hundred terms round to, as a share of the largest of them.
ROUNDING = 1e-13


def columns_first(array, axis):
    """The matrix whose columns are the lines."""
    return array if axis == 0 else array.T


def simplex(scores, mass):
    """What is nearest to the scores with this sum and nothing below 0: by sorting."""
    downwards = np.sort(scores)[::-1]
    thresholds = (np.cumsum(downwards - downwards[0]) - mass) / np.arange(1, scores.size + 1)
    used = np.flatnonzero(downwards - downwards[0] > thresholds)[-1]
    return np.maximum(scores - downwards[0] - thresholds[used], 0)


def largest(scores, k):
    """Where the k largest scores of each column are."""
    top = np.argsort(-scores, axis=0, kind="stable")[:k]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, top, True, axis=0)
    return chosen


def defined_dual(cost, a, b, gamma, k, alpha, beta):
    """The dual by its definition: (value, plan, size of what is added up)."""
    scores = alpha[:, None] + beta - cost
    excess = np.where(largest(scores, k), np.maximum(scores, 0), 0)
    terms = np.concatenate([alpha * a, beta * b, -(excess**2).sum(0) / (2 * gamma)])
    return terms.sum(), excess / gamma, np.abs(terms).sum()


def defined_semi_dual(cost, a, b, gamma, k, alpha):
    """The semi-dual by its definition."""
    scores = alpha[:, None] - cost
    chosen = largest(scores, k)
    plan = np.zeros(cost.shape)
    for j in np.flatnonzero(b > 0):
        plan[chosen[:, j], j] = simplex(scores[chosen[:, j], j], gamma * b[j]) / gamma
    held = plan > 0
    gains = np.where(held, scores, 0) * plan - gamma / 2 * plan**2
    terms = np.concatenate([alpha * a, -gains.sum(0)])
    return terms.sum(), plan, np.abs(terms).sum()


def squared_norms(plan, k):
    """The square of the k-support norm of every column, as the conjugate of its conjugate.

    ``2 s @ t`` less the k largest ``s**2`` is below it for every ``s``; the best has some of the
    largest of ``t`` as they are, and for all others what is left over the places left.
    """
    total = 0.0
    for column in plan.T:
        sizes = np.sort(column[column > 0])[::-1]
        if sizes.size <= k:
            total += (sizes**2).sum()
            continue
        bounds = []
        for whole in range(k):
            mean = sizes[whole:].sum() / (k - whole)
            s = np.where(np.arange(sizes.size) < whole, sizes, mean)
            bounds.append(2 * s @ sizes - (np.sort(s)[-k:] ** 2).sum())
        total += max(bounds)
    return total


def row_slices(array):
    wide = np.full((array.shape[0], array.shape[1] + 3), np.nan)
    wide[:, : array.shape[1]] = array
    return wide[:, : array.shape[1]]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "rows with gaps": row_slices,
    "columns with gaps": lambda array: row_slices(array.T).T,
    "float32": lambda array: array.astype(np.float32),
    "read-only": read_only,
}


def supports(n, m, k):
    """Every choice of 1 to k entries in each column, with what solves equations on it.

    For entries flattened by rows: masks, projections onto plans without marginals, and what makes
    a plan of marginals.
    """
    column = [
        [i in chosen for i in range(n)]
        for size in range(1, k + 1)
        for chosen in itertools.combinations(range(n), size)
    ]
    masks = np.array([np.array(p).T.ravel() for p in itertools.product(column, repeat=m)])
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    on_support = masks[:, None, :] * sums
    lift = np.linalg.pinv(on_support, rcond=1e-10)
    return masks, on_support, lift


def hard_optimum(cost, a, b, gamma, k):
    """The least ``<C, P> + gamma / 2 |P|^2`` with at most k entries per column; inf if no plan."""
    masks, sums, lift = supports(*cost.shape, k)
    goal = np.concatenate([a, b])
    flat = np.where(masks, cost.ravel(), 0)

    def feasible(plans):
        return plans + np.einsum("sij,sj->si", lift, goal - np.einsum("sij,sj->si", sums, plans))

    plans = feasible(np.zeros(masks.shape))
    for _ in range(2):  # once, and once more for what was rounded
        slope = flat + gamma * plans
        along = slope - np.einsum("sij,sjk,sk->si", lift, sums, slope)
        plans = feasible(plans - along / gamma)
    missed = np.abs(np.einsum("sij,sj->si", sums, plans) - goal).max(1)
    size = a.sum()
    good = (missed <= 1e-12 * size) & (plans >= -1e-12 * size).all(1)
    values = (flat * plans).sum(1) + gamma / 2 * (plans**2).sum(1)
    return values[good].min() if good.any() else np.inf


def linear_optimum(cost, a, b):
    n, m = cost.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    size, unit = a.sum(), np.abs(cost).max() or 1.0
    goal = np.concatenate([a, b]) / size
    found = linprog(cost.ravel() / unit, A_eq=np.vstack([rows, columns]), b_eq=goal)
    assert found.status == 0
    return found.fun * size * unit


COSTS = {
    "random": lambda rng, n, m: rng.random((n, m)),
    "ties": lambda rng, n, m: rng.integers(0, 4, (n, m)).astype(float),
    "points": lambda rng, n, m: (
        ((rng.integers(0, 3, (n, 1, 2)) - rng.integers(0, 3, (1, m, 2))) ** 2).sum(-1) * 1.0
    ),
    "twice the same": lambda rng, n, m: np.repeat(
        np.repeat(rng.random(((n + 1) // 2, (m + 1) // 2)), 2, axis=0), 2, axis=1
    )[:n, :m],
    "negative": lambda rng, n, m: rng.normal(size=(n, m)) - 1,
    "all equal": lambda rng, n, m: np.full((n, m), 2.0),
}


def small_weights(rng, n, m):
    """Small integers of the same sum, some of them 0."""
    total = int(rng.integers(max(n, m), 3 * max(n, m)))
    return tuple(
        rng.multinomial(total, uniform(size)).astype(float) if size > 1 else np.array([1.0 * total])
        for size in (n, m)
    )


def small_problem(seed, largest_size):
    """(cost, a, b, gamma): of any unit and mass."""
    rng = np.random.default_rng(seed)
    n, m = (int(size) for size in rng.integers(1, largest_size + 1, 2))
    cost = list(COSTS.values())[seed % len(COSTS)](rng, n, m)
    a, b = small_weights(rng, n, m)
    unit = float(10.0 ** rng.choice([-10, 0, 10]))
    mass = float(10.0 ** rng.choice([-100, -3, 0, 0, 5, 100]))
    gamma = float(10.0 ** rng.uniform(-3, 3)) * unit / mass / (a.sum() / m)
    return rng, unit * cost, mass * a, mass * b, gamma


def size_of(cost, a, b, gamma):
    """What values are rounded to a share of: the largest cost, and the largest norm."""
    return np.abs(cost).max() * a.sum() + gamma / 2 * (b**2).sum()


def check_bounds(result, cost, a, b, gamma, k):
    """What must hold of every answer: the dual is what it says, and no plan is below it."""
    size = size_of(cost, a, b, gamma)
    alpha, _ = result.potentials
    alpha = np.where(a > 0, alpha, alpha[a > 0].min() - 1)
    assert np.isfinite(alpha).all()
    dual, _, terms = defined_semi_dual(cost[a > 0], a[a > 0], b, gamma, k, alpha[a > 0])
    assert abs(result.dual_value - dual) <= ROUNDING * (terms + size)
    assert result.gap >= -ROUNDING * size
    plan = result.plan
    linear = (plan * cost).sum()
    assert abs(result.value_linear - linear) <= ROUNDING * size
    value = linear + gamma / 2 * squared_norms(plan, k)
    assert abs(result.value - value) <= ROUNDING * (size + abs(value))
    assert abs(result.marginal_error - marginal_error(plan, a, b)) <= ROUNDING
    counts = (plan > 0).sum(0)
    assert result.nnz == counts.sum()
    assert result.max_nnz == counts.max()
    assert result.extra_nnz == np.maximum(counts - k, 0).sum()
    return size


def densities():
    """Two Gaussians on a line, and the squared distance over its largest."""
    x = np.arange(100.0)
    a, b = (np.exp(-((x - at) ** 2) / (2 * width**2)) for at, width in ((20, 5), (60, 10)))
    cost = (x[:, None] - x) ** 2
    return cost / cost.max(), a / a.sum(), b / b.sum()


def clouds(n=120, m=120):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(n, 1, 2)), rng.normal(size=(1, m, 2)) @ np.diag([2, 0.5]) + 3
    cost = ((x - y) ** 2).sum(-1)
    return cost / cost.max(), uniform(n), uniform(m)


PROBLEMS = {
    "densities": densities,
    "clouds": clouds,
    "wide": lambda: clouds(60, 150),
    "tall": lambda: clouds(150, 60),
}
