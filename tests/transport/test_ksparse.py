"""Transport with few entries per line: the answers are right, and so are the bounds on them."""

import functools
import itertools
import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

import sparrot
from sparrot import Status
from sparrot.errors import ConvergenceWarning
from sparrot.transport import KSparseDual, SparseTransportResult, solve_ksparse, solve_quadratic
from tests.conftest import marginal_error, uniform

# What sums of a few hundred terms round to, as a share of the largest of them.
ROUNDING = 1e-13


@pytest.fixture
def pot():
    return pytest.importorskip("ot")


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


class TestDual:
    """KSparseDual."""

    @staticmethod
    def problem(rng, n, m, spread=1.0):
        a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
        return spread * rng.normal(size=(n, m)), a / a.sum(), b / b.sum()

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 8), (40, 23), (9, 130)])
    def test_is_its_definition(self, shape, axis, layout, rng):
        cost, a, b = self.problem(rng, *shape)
        cost = LAYOUTS[layout](cost)
        n = shape[axis]
        for k in sorted({1, 2, 3, (n + 1) // 2, n, n + 5}):
            gamma = float(10 ** rng.uniform(-2, 2))
            problem = KSparseDual(cost, a, b, gamma=gamma, k=k, axis=axis, n_threads=1)
            f, g = rng.normal(size=shape[0]), rng.normal(size=shape[1])
            lines = columns_first(np.asarray(cost, dtype=float), axis)
            points = ((a, b), (b, a))[axis]
            potentials = ((f, g), (g, f))[axis]
            given = [x.copy() for x in (f, g)]

            value, to_f, to_g = problem.dual(f, g)
            expected, plan, size = defined_dual(lines, *points, gamma, k, *potentials)
            assert abs(value - expected) <= ROUNDING * size
            plan = columns_first(plan, axis)
            mass = plan.sum() + 1
            np.testing.assert_allclose(to_f, a - plan.sum(1), rtol=0, atol=ROUNDING * mass)
            np.testing.assert_allclose(to_g, b - plan.sum(0), rtol=0, atol=ROUNDING * mass)
            found = problem.plan(f, g)
            assert isinstance(found, sparse.csr_array)
            np.testing.assert_allclose(
                found.toarray(),
                plan,
                rtol=0,
                # The plan has the type of the cost: float32 has 24 bits.
                atol=(6e-8 if cost.dtype == np.float32 else ROUNDING) * mass,
            )

            value, gradient = problem.semi_dual(potentials[0])
            expected, plan, size = defined_semi_dual(lines, *points, gamma, k, potentials[0])
            assert abs(value - expected) <= ROUNDING * size
            # Scores of size 5 or so over gamma are what the entries are the differences of.
            rounding = ROUNDING * (1 + np.abs(lines).max() / gamma)
            np.testing.assert_allclose(gradient, points[0] - plan.sum(1), rtol=0, atol=rounding)
            found = columns_first(problem.plan(potentials[0]).toarray(), axis)
            assert ((found > 0).sum(0) <= k).all()
            atol = max(rounding, 6e-8 if cost.dtype == np.float32 else 0)
            np.testing.assert_allclose(found, plan, rtol=0, atol=atol)
            for before, now in zip(given, (f, g), strict=True):
                np.testing.assert_array_equal(before, now)

    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("k", [1, 2, 5, 12])
    @pytest.mark.parametrize("gamma", [0.01, 1.0, 50.0])
    def test_is_concave_and_below_its_tangents(self, gamma, k, axis, rng):
        cost, a, b = self.problem(rng, 12, 15)
        cost[rng.random(cost.shape) < 0.1] = np.inf
        problem = KSparseDual(cost, a, b, gamma=gamma, k=k, axis=axis)
        n = cost.shape[axis]
        for _ in range(50):
            f, g = rng.normal(size=(2, 12)), rng.normal(size=(2, 15))
            values, to_f, to_g = zip(*map(problem.dual, f, g), strict=True)
            tangent = values[0] + to_f[0] @ (f[1] - f[0]) + to_g[0] @ (g[1] - g[0])
            size = np.abs(values).max() + abs(tangent) + 1
            assert values[1] <= tangent + ROUNDING * size
            middle = problem.dual(f.mean(0), g.mean(0))[0]
            assert middle >= np.mean(values) - ROUNDING * size

            alpha = rng.normal(size=(2, n))
            values, gradients = zip(*map(problem.semi_dual, alpha), strict=True)
            tangent = values[0] + gradients[0] @ (alpha[1] - alpha[0])
            size = np.abs(values).max() + abs(tangent) + 1
            assert values[1] <= tangent + ROUNDING * size
            assert problem.semi_dual(alpha.mean(0))[0] >= np.mean(values) - ROUNDING * size

    @pytest.mark.parametrize("k", [1, 3, 9])
    @pytest.mark.parametrize("gamma", [0.05, 2.0])
    def test_the_semi_dual_is_the_largest_dual(self, gamma, k, rng):
        cost, a, b = self.problem(rng, 9, 6)
        problem = KSparseDual(cost, a, b, gamma=gamma, k=k)
        alpha = rng.normal(size=9)
        most, _ = problem.semi_dual(alpha)
        for _ in range(50):
            assert problem.dual(alpha, rng.normal(size=6) - 1)[0] <= most + ROUNDING
        # The best of the potentials of the columns makes their sums right: by bisection.
        low, high = np.full(6, -50.0), np.full(6, 50.0 + gamma)
        for _ in range(200):
            beta = (low + high) / 2
            missing = problem.dual(alpha, beta)[2]
            low, high = np.where(missing > 0, beta, low), np.where(missing > 0, high, beta)
        assert abs(problem.dual(alpha, beta)[0] - most) <= ROUNDING * 10
        np.testing.assert_allclose(
            problem.plan(alpha).toarray(), problem.plan(alpha, beta).toarray(), atol=1e-12 / gamma
        )

    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("k", [1, 2, 3, 6])
    def test_ties_take_no_more_than_k(self, k, axis, rng):
        cost = rng.integers(0, 3, (6, 8)).astype(float)
        a, b = uniform(6), uniform(8)
        problem = KSparseDual(cost, a, b, gamma=4.0, k=k, axis=axis)
        f, g = rng.integers(0, 3, 6).astype(float), rng.integers(0, 3, 8).astype(float)
        lines, points, potentials = (
            (cost, (a, b), (f, g)),
            (cost.T, (b, a), (g, f)),
        )[axis]
        value, to_f, to_g = problem.dual(f, g)
        # Small integers over 8: nothing is rounded but the weights.
        assert value == pytest.approx(defined_dual(lines, *points, 4.0, k, *potentials)[0], 1e-14)
        plan = problem.plan(f, g).toarray()
        assert ((plan > 0).sum(axis) <= k).all()
        np.testing.assert_allclose(to_f, a - plan.sum(1), rtol=0, atol=1e-14)
        np.testing.assert_allclose(to_g, b - plan.sum(0), rtol=0, atol=1e-14)
        value, gradient = problem.semi_dual(potentials[0])
        expected = defined_semi_dual(lines, *points, 4.0, k, potentials[0])[0]
        assert value == pytest.approx(expected, abs=1e-14)
        plan = columns_first(problem.plan(potentials[0]).toarray(), axis)
        assert ((plan > 0).sum(0) <= k).all()
        np.testing.assert_allclose(plan.sum(0), points[1], rtol=1e-14)
        np.testing.assert_allclose(gradient, points[0] - plan.sum(1), rtol=0, atol=1e-14)

    @pytest.mark.parametrize("axis", [0, 1])
    def test_forbidden_edges_get_nothing(self, axis, rng):
        cost, a, b = self.problem(rng, 20, 20)
        cost[rng.random(cost.shape) < 0.5] = np.inf
        np.fill_diagonal(cost, 1.0)
        problem = KSparseDual(cost, a, b, gamma=1.0, k=3, axis=axis)
        f, g = rng.normal(size=20), rng.normal(size=20)
        lines, points, potentials = ((cost, (a, b), (f, g)), (cost.T, (b, a), (g, f)))[axis]
        value, _, _ = problem.dual(f, g)
        expected, _, size = defined_dual(lines, *points, 1.0, 3, *potentials)
        assert abs(value - expected) <= ROUNDING * size
        value, gradient = problem.semi_dual(potentials[0])
        expected, plan, size = defined_semi_dual(lines, *points, 1.0, 3, potentials[0])
        assert abs(value - expected) <= ROUNDING * size
        np.testing.assert_allclose(gradient, points[0] - plan.sum(1), rtol=0, atol=ROUNDING)
        for found in (problem.plan(f, g), problem.plan(potentials[0])):
            assert (found.toarray()[np.isinf(cost)] == 0).all()

    @pytest.mark.parametrize("gamma", [0.02, 1.0])
    @pytest.mark.parametrize("k", [1, 2, 7])
    def test_agrees_with_pot(self, k, gamma, pot, rng, capsys):
        cost, a, b = self.problem(rng, 10, 13)
        ours = KSparseDual(cost, a, b, gamma=gamma, k=k)
        theirs = pot.smooth.SparsityConstrained(max_nz=k, gamma=gamma)
        for _ in range(10):
            f, g = rng.normal(size=10), rng.normal(size=13)
            for found, expected in (
                (ours.dual(f, g), pot.smooth.dual_obj_grad(f, g, a, b, cost, theirs)),
                (ours.semi_dual(f), pot.smooth.semi_dual_obj_grad(f, a, b, cost, theirs)),
            ):
                for mine, other in zip(found, expected, strict=True):
                    # POT divides scores by gamma b, and multiplies again.
                    size = np.abs(other).max() + 1 / gamma
                    np.testing.assert_allclose(mine, other, rtol=0, atol=1e-12 * size)
        capsys.readouterr()

    def test_the_same_bits_for_any_number_of_threads(self, rng):
        cost, a, b = self.problem(rng, 300, 400)
        alpha = rng.normal(size=300)
        one, four = (
            KSparseDual(cost, a, b, gamma=0.1, k=3, n_threads=count).semi_dual(alpha)
            for count in (1, 4)
        )
        assert one[0] == four[0]
        np.testing.assert_array_equal(one[1], four[1])

    def test_lists_will_do(self):
        problem = KSparseDual([[0, 1], [1, 0]], gamma=1, k=1)
        value, gradient = problem.semi_dual([0, 0])
        assert value == pytest.approx(0.25, rel=1e-15)  # two entries of a half
        assert gradient.tolist() == [0, 0]


# Problems small enough to know their optimum ---------------------------------------------------


@functools.cache
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


class TestKnownOptimum:
    """Problems whose optimum is found in another way."""

    @pytest.mark.parametrize("block", range(10))
    def test_bounds_hold_for_the_best_of_all_supports(self, block):
        solved = 0
        for seed in range(20 * block, 20 * block + 20):
            rng, cost, a, b, gamma = small_problem(seed, 4)
            n, m = cost.shape
            if n * m > 12:
                cost, a = cost[:3], np.array([a[0], a[1], a[2:].sum()])
                n = 3
            k = int(rng.integers(1, n + 1))
            optimum = hard_optimum(cost, a, b, gamma, k)
            best = solve_ksparse(cost, a, b, gamma=gamma, k=k, tol=1e-9)
            assert best.converged, (seed, best.message)
            for recover in ("polish", "dual", "round"):
                result = solve_ksparse(cost, a, b, gamma=gamma, k=k, tol=1e-9, recover=recover)
                size = check_bounds(result, cost, a, b, gamma, k)
                assert result.dual_value <= optimum + ROUNDING * size, seed
                if recover != "dual":
                    # Marginals wrong by 1e-10 of the mass make that much difference.
                    assert result.value >= best.dual_value - 2e-10 * size, seed
                    assert abs(result.value - result.dual_value - result.gap) <= 2e-10 * size
                if recover != "dual" and result.extra_nnz == 0:
                    hard = (cost * result.plan).sum() + gamma / 2 * (result.plan**2).sum()
                    assert hard - optimum <= result.gap + 2e-10 * size, seed
            if best.extra_nnz == 0:
                solved += 1
                assert abs(best.value - optimum) <= 1e-9 * abs(optimum) + 2e-10 * size, seed
        assert solved >= 5  # in most of them k is not in the way of the optimum

    @pytest.mark.parametrize("block", range(10))
    def test_one_entry_is_linear_programming(self, block):
        for seed in range(1000 + 15 * block, 1015 + 15 * block):
            _, cost, a, b, gamma = small_problem(seed, 9)
            for recover in ("polish", "dual", "round"):
                result = solve_ksparse(cost, a, b, gamma=gamma, k=1, recover=recover)
                assert result.converged, (seed, result.message)
                size = check_bounds(result, cost, a, b, gamma, 1)
                linear = linear_optimum(cost, a, b)
                constant = gamma / 2 * (b**2).sum()
                # The reference is solved to 1e-9 or so, for it has tolerances of its own.
                small = 1e-9 * np.abs(cost).max() * a.sum() + ROUNDING * size
                assert result.dual_value <= linear + constant + small, seed
                if recover != "dual":
                    small += 1e-9 * size  # the promise for marginals
                    assert result.value >= linear + constant - small, seed
                    assert result.value_linear - linear <= result.gap + small, seed

    @pytest.mark.parametrize("block", range(10))
    def test_all_entries_satisfy_the_conditions_of_the_quadratic_problem(self, block):
        for seed in range(2000 + 15 * block, 2015 + 15 * block):
            _, cost, a, b, gamma = small_problem(seed, 9)
            result = solve_quadratic(cost, a, b, gamma=gamma)
            assert result.converged, (seed, result.message)
            size = check_bounds(result, cost, a, b, gamma, cost.shape[0])
            assert result.gap <= 1e-9 * max(abs(result.value), 1e-6 * size)
            assert marginal_error(result.plan, a, b) <= 1e-9
            f, g = (x[w > 0] for x, w in zip(result.potentials, (a, b), strict=True))
            plan = np.maximum(f[:, None] + g - cost[np.ix_(a > 0, b > 0)], 0) / gamma
            # As exact as the marginals: 1e-9 of the mass; and what scores are rounded to.
            atol = 1e-9 * a.sum() + 4e-16 * np.abs(cost).max() / gamma
            np.testing.assert_allclose(result.plan[np.ix_(a > 0, b > 0)], plan, rtol=0, atol=atol)
            assert (result.plan[a == 0] == 0).all()
            assert (result.plan[:, b == 0] == 0).all()


# What the paper says ----------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("share", [0.001, 0.1, 1.0])
def test_more_entries_cost_less_and_bind_less(name, share):
    cost, a, b = PROBLEMS[name]()
    n, m = cost.shape
    gamma = share * m
    before = None
    for k in (1, 2, 4, 16, n):
        result = solve_ksparse(cost, a, b, gamma=gamma, k=k)
        assert result.converged
        assert result.marginal_error <= 1e-9
        assert marginal_error(result.plan, a, b) <= 1e-9
        assert result.gap <= 1e-6 * abs(result.value)
        check_bounds(result, cost, a, b, gamma, k)
        if n == m:
            assert result.nnz <= (k + 1.5) * m
        if k == n:
            assert result.n_binding == 0
        if before is not None:
            assert result.dual_value <= before.value + 1e-9 * abs(before.value)
            assert result.n_binding <= before.n_binding
        before = result
    quadratic = solve_quadratic(cost, a, b, gamma=gamma)
    assert quadratic.k is None
    assert abs(quadratic.value - before.value) <= before.gap + quadratic.gap + 1e-9 * before.value
    # The plan is unique, and gamma / 2 |P - P*|^2 at most the gap; besides what marginals miss.
    distance = ((quadratic.plan - before.plan) ** 2).sum()
    assert gamma / 2 * distance <= 4 * (before.gap + quadratic.gap) + 1e-9 * before.value


@pytest.mark.parametrize("name", PROBLEMS)
def test_with_one_entry_it_is_unregularised_transport(name, pot):
    cost, a, b = PROBLEMS[name]()
    result = solve_ksparse(cost, a, b, gamma=0.1, k=1)
    exact = pot.emd2(a, b, cost)
    assert exact - 1e-9 <= result.value_linear <= exact + result.gap + 1e-9
    assert result.dual_value <= exact + 0.05 * (b**2).sum() + 1e-12


def test_a_random_assignment_of_200_with_one_entry(pot, rng):
    cost = rng.random((200, 200))
    result = solve_ksparse(cost, gamma=1.0, k=1)
    exact = pot.emd2(uniform(200), uniform(200), cost)
    assert abs(result.value_linear - exact) <= result.gap + 1e-9
    assert result.nnz >= 200


# Which plan -------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("name", PROBLEMS)
def test_ways_to_recover_a_plan(name, k, axis):
    cost, a, b = PROBLEMS[name]()
    keywords = {"gamma": 1.0, "k": k, "axis": axis}
    lines = (b, a)[axis]
    polish, dual, rounded = (
        solve_ksparse(cost, a, b, recover=recover, **keywords)
        for recover in ("polish", "dual", "round")
    )
    assert dual.max_nnz <= k
    assert dual.extra_nnz == 0
    # Entries are differences of scores of size 1: that is what the lightest lines are exact to.
    np.testing.assert_allclose(dual.plan.sum(axis), lines, rtol=1e-12, atol=1e-15)
    assert dual.marginal_error == pytest.approx(marginal_error(dual.plan, a, b), abs=1e-13)
    assert marginal_error(rounded.plan, a, b) <= 1e-12
    for result in (polish, dual, rounded):
        assert result.dual_value == polish.dual_value
        assert result.n_iter == polish.n_iter
        assert result.converged
        assert np.isfinite(result.gap)
        assert result.gap >= -1e-13
        # What is certified: the plan with the marginals right costs that much.
        if result is not dual:
            assert abs(result.value - result.dual_value - result.gap) <= 1e-9 * polish.value
    assert rounded.value >= polish.dual_value - 1e-12
    assert dual.gap == pytest.approx(rounded.gap, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("recover", ["polish", "dual", "round"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", PROBLEMS)
def test_rows_are_the_columns_of_the_transposed_problem(name, k, recover):
    cost, a, b = PROBLEMS[name]()
    columns = solve_ksparse(cost, a, b, gamma=1.0, k=k, recover=recover)
    rows = solve_ksparse(cost.T, b, a, gamma=1.0, k=k, axis=1, recover=recover)
    assert (columns.axis, rows.axis) == (0, 1)
    assert rows.converged
    assert columns.converged
    # The start may look at the sides in another order: each knows the optimum to its own gap,
    # and gaps to what marginals right to 1e-9 make of them.
    slack = 1e-9 * abs(columns.value)
    assert rows.dual_value <= columns.dual_value + columns.gap + slack
    assert columns.dual_value <= rows.dual_value + rows.gap + slack


@pytest.mark.parametrize("recover", ["polish", "dual", "round"])
@pytest.mark.parametrize("k", [1, 3, 70])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_reads_give_the_same_bits(weighted, k, recover, rng):
    cost = rng.random((70, 70))
    # Integers: sums are equal without rounding, so that neither side is scaled to the other.
    a = rng.integers(1, 9, 70).astype(float) if weighted else None
    b = rng.permutation(a) if weighted else None
    columns = solve_ksparse(cost, a, b, gamma=1.0, k=k, recover=recover)
    rows = solve_ksparse(cost.T, b, a, gamma=1.0, k=k, axis=1, recover=recover)
    for field in ("dual_value", "gap", "n_iter", "n_binding", "extra_nnz", "max_nnz"):
        assert rows[field] == columns[field]
    np.testing.assert_array_equal(rows.plan.T, columns.plan)
    np.testing.assert_array_equal(rows.potentials[0], columns.potentials[1])


@pytest.mark.parametrize("k", [1, 3, 50])
def test_the_same_bits_for_any_number_of_threads(k, rng):
    cost = rng.random((300, 320))
    one, many = (solve_ksparse(cost, gamma=0.5, k=k, n_threads=count) for count in (1, 5))
    np.testing.assert_array_equal(one.plan, many.plan)
    for f, g in zip(one.potentials, many.potentials, strict=True):
        np.testing.assert_array_equal(f, g)
    assert (one.gap, one.n_iter, one.n_cg) == (many.gap, many.n_iter, many.n_cg)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", [0, 1])
def test_any_layout(axis, layout, rng):
    cost = rng.random((35, 50)).astype(np.float32).astype(float)
    plain = solve_ksparse(cost, gamma=0.5, k=2, axis=axis)
    result = solve_ksparse(LAYOUTS[layout](cost), gamma=0.5, k=2, axis=axis)
    assert result.converged
    # Two solves of one problem: the bounds of each hold for the other.
    slack = 1e-12 * abs(plain.value) + 1e-9
    assert result.dual_value <= plain.value + slack
    assert plain.dual_value <= result.value + slack
    assert result.plan.dtype == (np.float32 if layout == "float32" else np.float64)


@pytest.mark.parametrize("k", [1, 2, 30])
def test_units_do_not_matter(k, rng):
    cost = rng.random((30, 40))
    a, b = rng.random(30), rng.random(40)
    b *= a.sum() / b.sum()
    plain = solve_ksparse(cost, a, b, gamma=0.5, k=k)
    # Powers of two scale without rounding, so that the bits must agree.
    for unit in (2.0**40, 2.0**-40):
        scaled = solve_ksparse(unit * cost, a, b, gamma=unit * 0.5, k=k)
        assert scaled.n_iter == plain.n_iter
        np.testing.assert_array_equal(scaled.plan, plain.plan)
        assert scaled.gap == unit * plain.gap
        assert scaled.dual_value == unit * plain.dual_value
        heavier = solve_ksparse(cost, unit * a, unit * b, gamma=0.5 / unit, k=k)
        assert heavier.n_iter == plain.n_iter
        np.testing.assert_array_equal(heavier.plan, unit * plain.plan)
        np.testing.assert_array_equal(heavier.potentials[0], plain.potentials[0])
        for field in ("value", "value_linear", "dual_value", "gap"):
            assert heavier[field] == unit * plain[field]
        np.testing.assert_array_equal(heavier.trace["objective"], unit * plain.trace["objective"])
    for scale, unit in (("max", cost.max()), ("mean", a @ cost @ b / a.sum() ** 2)):
        for axis in (0, 1):
            share = solve_ksparse(cost, a, b, gamma=0.5, gamma_scale=scale, k=k, axis=axis)
            per_line = a.sum() / cost.shape[1 - axis]
            np.testing.assert_allclose(share.gamma, 0.5 * unit / per_line, rtol=1e-13)


def test_shifts_and_order_do_not_matter(rng):
    cost = rng.random((25, 25))
    plain = solve_ksparse(cost, gamma=2.0, k=3, tol=1e-9)
    f, g = rng.random(25), rng.random(25)
    shifted = solve_ksparse(cost + f[:, None] + g, gamma=2.0, k=3, tol=1e-9)
    by = f.mean() + g.mean()
    # Each knows the optimum to its gap.
    assert abs(shifted.value - by - plain.value) <= shifted.gap + plain.gap + 1e-9
    order, other = rng.permutation(25), rng.permutation(25)
    moved = solve_ksparse(cost[order][:, other], gamma=2.0, k=3, tol=1e-9)
    assert abs(moved.value - plain.value) <= moved.gap + plain.gap + 1e-9


@pytest.mark.parametrize("mass", [1e-100, 1e-30, 1e30, 1e100])
def test_any_mass(mass, rng):
    cost = rng.random((12, 10))
    a = mass * rng.random(12)
    b = np.full(10, a.sum() / 10)
    for k in (1, 2, 12):
        result = solve_ksparse(cost, a, b, gamma=1 / mass, k=k)
        assert result.converged
        assert marginal_error(result.plan, a, b) <= 1e-9
        check_bounds(result, cost, a, b, 1 / mass, k)


def test_forbidden_edges(rng):
    cost = rng.random((20, 20))
    cost[rng.random((20, 20)) < 0.4] = np.inf
    np.fill_diagonal(cost, 0.5)
    for k in (1, 2, 20):
        result = solve_ksparse(cost, gamma=0.5, k=k)
        assert result.converged
        assert (result.plan[np.isinf(cost)] == 0).all()
        assert marginal_error(result.plan, uniform(20), uniform(20)) <= 1e-9
        allowed = np.where(np.isinf(cost), 0, cost)
        assert result.value_linear == pytest.approx((result.plan * allowed).sum(), rel=1e-13)
        assert result.value == pytest.approx(
            result.value_linear + 0.25 * squared_norms(result.plan, k), rel=1e-13
        )
        # A cost of 10, more than any plan needs to pay, allows no less than infinity does.
        dear = solve_ksparse(np.where(np.isinf(cost), 10.0, cost), gamma=0.5, k=k)
        assert dear.dual_value <= result.value + 1e-9
        assert result.dual_value <= result.value + 1e-9


# Starts, ends, and what is said on the way -------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("k", [1, 2, 40])
def test_a_solution_is_found_again_in_fewer_steps(k, axis, rng):
    cost = rng.random((40, 50))
    first = solve_ksparse(cost, gamma=1.0, k=k, axis=axis)
    for init in (first, first.potentials, [x.tolist() for x in first.potentials]):
        again = solve_ksparse(cost, gamma=1.0, k=k, axis=axis, init=init)
        assert again.converged
        assert again.n_iter <= max(first.n_iter, 3)
        assert abs(again.value - first.value) <= again.gap + first.gap + 1e-9
    # Those of the lines are not used.
    f, g = first.potentials
    other = (f, np.zeros(50)) if axis == 0 else (np.zeros(40), g)
    again = solve_ksparse(cost, gamma=1.0, k=k, axis=axis, init=other)
    np.testing.assert_array_equal(
        again.plan, solve_ksparse(cost, gamma=1.0, k=k, axis=axis, init=first).plan
    )


def test_a_bad_start_does_no_harm(rng):
    cost = rng.random((30, 30))
    expected = solve_ksparse(cost, gamma=1.0, k=2)
    for scale in (1e-3, 1.0, 10.0, 1e3, 1e6, 1e200):
        result = solve_ksparse(
            cost, gamma=1.0, k=2, init=(scale * rng.normal(size=30), np.zeros(30))
        )
        assert result.converged
        assert abs(result.value - expected.value) <= result.gap + expected.gap + 1e-9


def test_a_result_starts_another_problem(rng):
    cost = rng.random((30, 30))
    entropic = sparrot.transport.solve(cost, reg=0.02)
    quadratic = solve_quadratic(cost, gamma=1.0, init=entropic)
    assert quadratic.converged
    result = solve_ksparse(cost, gamma=1.0, k=2, init=quadratic)
    assert result.converged


def test_points_without_weight_get_nothing(rng):
    cost = rng.random((15, 12))
    a, b = rng.random(15), rng.random(12)
    a[[0, 7]] = b[[3, 11]] = 0
    a, b = a / a.sum(), b / b.sum()
    for axis in (0, 1):
        result = solve_ksparse(cost, a, b, gamma=1.0, k=2, axis=axis)
        assert result.converged
        assert (result.plan[a == 0] == 0).all()
        assert (result.plan[:, b == 0] == 0).all()
        assert np.isneginf(result.potentials[0][a == 0]).all()
        assert np.isneginf(result.potentials[1][b == 0]).all()
        without = solve_ksparse(
            cost[a > 0][:, b > 0], a[a > 0], b[b > 0], gamma=1.0, k=2, axis=axis
        )
        assert abs(result.value - without.value) <= result.gap + without.gap + 1e-9
        again = solve_ksparse(cost, a, b, gamma=1.0, k=2, axis=axis, init=result)
        assert again.converged


def test_the_callback_sees_every_step_and_can_stop(rng):
    cost = rng.random((40, 40))
    seen = []
    result = solve_ksparse(cost, gamma=1.0, k=2, callback=seen.append)
    assert result.converged
    assert [state.iteration for state in seen] == list(range(1, result.n_iter + 1))
    assert [state.objective for state in seen] == result.trace["objective"].tolist()
    assert [state.certificate for state in seen] == result.trace["certificate"].tolist()
    assert [state.sparsity for state in seen] == result.trace["sparsity"].tolist()
    assert [state.phase for state in seen] == result.trace["phase"].tolist()
    with pytest.warns(ConvergenceWarning, match="callback asked to stop"):
        stopped = solve_ksparse(cost, gamma=1.0, k=2, callback=lambda state: state.iteration == 3)
    assert stopped.status is Status.CALLBACK
    assert stopped.n_iter == 3
    check_bounds(stopped, cost, uniform(40), uniform(40), 1.0, 2)

    def broken(state):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        solve_ksparse(cost, gamma=1.0, k=2, callback=broken)


@pytest.mark.parametrize("recover", ["polish", "dual", "round"])
@pytest.mark.parametrize("steps", [1, 2, 5, 10])
@pytest.mark.parametrize("k", [1, 2, 8])
def test_answers_far_from_converged_are_certified_too(k, steps, recover):
    cost, a, b = clouds(30, 30)
    best = solve_ksparse(cost, a, b, gamma=3.0, k=k, tol=1e-10)
    with pytest.warns(
        ConvergenceWarning, match=r"max_iter.*after \d+ steps.*k is binding"
    ) as caught:
        result = solve_ksparse(cost, a, b, gamma=3.0, k=k, tol=0, max_iter=steps, recover=recover)
    assert caught[0].filename == __file__
    assert not result.converged
    assert result.status is Status.MAX_ITER
    assert result.n_iter == steps
    assert str(caught[0].message) == result.message
    check_bounds(result, cost, a, b, 3.0, k)
    assert result.dual_value <= best.value + 1e-9
    # The plan with exact marginals that the gap is about is above the optimum.
    assert result.dual_value + result.gap >= best.dual_value - 1e-9
    if recover == "round":
        assert marginal_error(result.plan, a, b) <= 1e-12
        assert result.value == pytest.approx(result.dual_value + result.gap, rel=1e-12)


def test_no_time_at_all(rng):
    cost = rng.random((50, 50))
    with pytest.warns(ConvergenceWarning, match="max_time"):
        result = solve_ksparse(cost, gamma=1.0, k=2, max_time=0)
    assert result.status is Status.MAX_TIME
    check_bounds(result, cost, uniform(50), uniform(50), 1.0, 2)


@pytest.mark.parametrize("k", [1, 2, 40])
def test_the_trace_is_in_order_and_ends_at_the_answer(k, rng):
    result = solve_ksparse(rng.random((40, 40)), gamma=1.0, k=k)
    trace = result.trace
    fields = {"iteration", "time", "objective", "certificate", "sparsity", "phase"}
    assert set(trace) == fields
    assert {len(column) for column in trace.values()} == {result.n_iter}
    assert (np.diff(trace["iteration"]) == 1).all()
    assert (np.diff(trace["time"]) >= 0).all()
    assert set(trace["phase"]) <= {"proximal", "newton"}
    # What the last step left is put right afterwards.
    assert result.marginal_error <= trace["certificate"][-1] + 1e-14
    assert result.timings["solve"] > 0


def test_verbose_prints_a_line_per_step(rng, capsys):
    result = solve_ksparse(rng.random((20, 20)), gamma=1.0, k=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == result.n_iter
    assert all("marginal error" in line and "entries" in line for line in lines)
    solve_ksparse(rng.random((20, 20)), gamma=1.0, k=2)
    assert capsys.readouterr().out == ""


# What a result offers ---------------------------------------------------------------------------


@pytest.fixture
def result(rng):
    return solve_ksparse(rng.random((30, 40)), gamma=1.0, k=2)


def test_fields_are_attributes_and_items(result):
    assert isinstance(result, SparseTransportResult)
    assert result["gap"] == result.gap
    assert dict(result)["n_iter"] == result.n_iter
    assert {"plan", "sparse_plan", "gap", "shape", "apply"} <= set(dir(result))
    with pytest.raises(AttributeError, match="no attribute 'plam'"):
        _ = result.plam
    with pytest.raises(KeyError):
        _ = result["plam"]
    with pytest.raises(AttributeError, match="frozen"):
        result.gap = 0.0
    with pytest.raises(AttributeError, match="frozen"):
        del result.gap
    for array in (*result.potentials, result.a, result.b):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


def test_every_field_is_documented(result):
    for name in result:
        assert name in SparseTransportResult.__doc__


def test_repr_is_a_line_per_field(result):
    lines = repr(result).splitlines()
    assert lines[0] == "SparseTransportResult"
    assert len(lines) == 1 + len(result)
    assert any("n_binding: " in line for line in lines)
    assert all(len(line) < 400 for line in lines)


def test_pickling_keeps_everything(result):
    copy = pickle.loads(pickle.dumps(result))
    assert copy.gap == result.gap
    assert copy.status is Status.CONVERGED
    assert copy.message == result.message
    np.testing.assert_array_equal(copy.plan, result.plan)
    np.testing.assert_array_equal(copy.potentials[1], result.potentials[1])
    vector = np.arange(40.0)
    np.testing.assert_array_equal(copy.apply(vector), result.apply(vector))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plans_and_products(dtype, axis, rng):
    result = solve_ksparse(rng.random((30, 40)).astype(dtype), gamma=1.0, k=2, axis=axis)
    assert result.shape == (30, 40)
    plan = result.plan
    assert result.plan is plan
    assert plan.dtype == dtype
    assert isinstance(result.sparse_plan, sparse.csr_array)
    assert result.sparse_plan.dtype == dtype
    assert result.sparse_plan.has_sorted_indices
    assert result.sparse_plan.nnz == result.nnz
    np.testing.assert_array_equal(result.sparse_plan.toarray(), plan)
    vector, matrix = rng.normal(size=40), rng.normal(size=(40, 3))
    plan = plan.astype(float)
    np.testing.assert_allclose(result.apply(vector), plan @ vector, atol=1e-15)
    np.testing.assert_allclose(result.apply(matrix), plan @ matrix, atol=1e-15)
    other = rng.normal(size=(30, 2))
    np.testing.assert_allclose(result.apply(other, transpose=True), plan.T @ other, atol=1e-15)
    np.testing.assert_allclose(
        result.apply(other[:, 0].tolist(), transpose=True), plan.T @ other[:, 0], atol=1e-15
    )
    result.sparse_plan.data[:] = 7  # the user's own
    np.testing.assert_array_equal(result.plan, plan)
    np.testing.assert_allclose(result.apply(vector), plan @ vector, atol=1e-15)


def test_the_message_says_what_k_did(rng):
    cost = rng.random((30, 40))
    loose = solve_ksparse(cost, gamma=1.0, k=30)
    assert "k is binding in 0 columns, 0 entries of the plan exceed it" in loose.message
    tight = solve_ksparse(cost, gamma=1.0, k=1, axis=1)
    assert tight.n_binding > 0
    assert f"k is binding in {tight.n_binding} rows" in tight.message
    assert "k is" not in solve_quadratic(cost, gamma=1.0).message


def test_the_cost_is_not_changed_and_weights_are_copied(rng):
    cost = rng.random((20, 20))
    before, a = cost.copy(), uniform(20)
    result = solve_ksparse(cost, a, gamma=1.0, k=2)
    np.testing.assert_array_equal(cost, before)
    a[:] = 7
    assert result.a.sum() == pytest.approx(1, rel=1e-15)


class TestHardProblems:
    """Problems that once were not solved."""

    @pytest.mark.parametrize("n", [30, 40, 60])
    def test_equal_costs_in_many_places(self, n):
        for seed in range(10):
            cost = np.random.default_rng(seed).integers(0, 5, (n, n)).astype(float)
            for gamma, k in ((0.1, n), (1.0, 1), (0.1, 2)):
                result = solve_ksparse(cost, gamma=gamma, k=k)
                assert result.converged, (seed, gamma, k, result.message)
                assert result.marginal_error <= 1e-9

    def test_equal_costs_of_another_shape(self):
        cost = np.random.default_rng(4).integers(0, 5, (150, 60)).astype(float)
        assert solve_ksparse(cost, gamma=24.0, k=4).converged

    def test_costs_that_are_all_equal(self):
        a, b = 1e-100 * np.array([1, 1, 2]), 1e-100 * np.array([0, 1, 1, 2])
        result = solve_ksparse(np.full((3, 4), 2e10), a, b, gamma=2e107, k=1)
        assert result.converged

    def test_points_that_are_alike(self):
        cost = np.tile([0.3, 0.3, 0.8, 0.8, 1, 1, 0.2, 0.2, 0.8], (2, 1))
        a, b = np.array([6.0, 9]), np.array([2.0, 1, 2, 0, 2, 3, 0, 3, 2])
        result = solve_ksparse(cost, a, b, gamma=1.0, k=1)
        assert result.converged
        assert marginal_error(result.plan, a, b) <= 1e-9

    @pytest.mark.parametrize("seed", range(5))
    def test_a_few_huge_costs(self, seed):
        cost = np.random.default_rng(seed).pareto(1.0, (150, 60))
        for k in (1, 2, 4):
            result = solve_ksparse(cost, gamma=0.1 * cost.max() * 60, k=k)
            assert result.converged, result.message

    def test_potentials_that_hold_nothing_do_not_hide_that_k_binds(self):
        cost = np.array([[0.0, 1], [1, 0]])
        one, two = (solve_ksparse(cost, [1, 2], [1, 2], gamma=2.0, k=k) for k in (1, 2))
        assert one.value == pytest.approx(5)
        assert two.value == pytest.approx(4)
        assert one.n_binding > 0 == two.n_binding

    def test_forbidden_edges_get_nothing(self):
        cost = np.random.default_rng(0).random((20, 20))
        cost[np.random.default_rng(1).random((20, 20)) < 0.4] = np.inf
        np.fill_diagonal(cost, 0.5)
        for k in (1, 2, 5):
            for recover in ("polish", "dual", "round"):
                result = solve_ksparse(cost, gamma=0.5, k=k, recover=recover)
                assert result.converged
                assert (result.plan[np.isinf(cost)] == 0).all()
                assert np.isfinite(result.value)
                if recover == "polish":
                    assert result.gap <= 1e-6 * result.value
