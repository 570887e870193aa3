"""k-sparse transport beside optima that are found in another way, and on hard problems."""

import numpy as np
import pytest

from sparrot.transport import solve_ksparse, solve_quadratic
from tests.conftest import marginal_error
from tests.transport.ksparse_reference import (
    ROUNDING,
    check_bounds,
    hard_optimum,
    linear_optimum,
    small_problem,
)


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
