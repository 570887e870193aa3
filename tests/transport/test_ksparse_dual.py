"""The dual and the semi-dual of k-sparse transport, against their definitions."""

import numpy as np
import pytest
from scipy import sparse

from sparrot.transport import KSparseDual
from tests.conftest import uniform
from tests.transport.ksparse_reference import (
    LAYOUTS,
    ROUNDING,
    columns_first,
    defined_dual,
    defined_semi_dual,
)


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
