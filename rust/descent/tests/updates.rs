//! Every update does to a block what it is defined to do.

mod common;

use common::{Case, KINDS, Kind, penalties, point};
use sparrot_descent::dense::Symmetric;
use sparrot_descent::update::{Moved, Stand, UpdateRule, update};
use sparrot_descent::{Penalty, Settings, Status, solve};

const ALL: [UpdateRule; 6] = [
    UpdateRule::Gradient,
    UpdateRule::Backtracking,
    UpdateRule::Matrix,
    UpdateRule::Newton,
    UpdateRule::Exact,
    UpdateRule::TwoMetric,
];

/// Updates a block once: x afterwards and the change that was reported.
fn updated(
    case: &Case,
    rule: UpdateRule,
    penalty: &Penalty<'_>,
    x: &[f64],
    block: &[u32],
) -> (Vec<f64>, Moved) {
    let mut x = x.to_vec();
    case.with(&x.clone(), true, |problem, work| {
        let (mut listed, mut block) = (vec![], block.to_vec());
        let mut stand = Stand { problem, x: &mut x, penalty, work, listed: &mut listed };
        let moved = update(rule, case.size()).apply(&mut stand, &mut block, None).unwrap();
        (x.clone(), moved)
    })
}

fn objective(case: &Case, penalty: &Penalty<'_>, x: &[f64]) -> f64 {
    case.value(x) + x.iter().enumerate().map(|(i, x)| penalty.value(i, *x)).sum::<f64>()
}

#[test]
fn none_increases_the_objective_or_leaves_the_bounds() {
    for rule in ALL {
        for (kind, seed) in KINDS.into_iter().flat_map(|k| (0..15).map(move |s| (k, s))) {
            for penalty in penalties() {
                let case = Case::new(kind, seed % 2 == 0, seed);
                let x = point(case.size(), &penalty, seed);
                let block = [0, 2, 5];
                let (y, moved) = updated(&case, rule, &penalty, &x, &block);
                if y.iter().any(|y| y.abs() > 20.0) {
                    continue; // towards a minimum at infinity, where f's formula here overflows
                }
                let change = objective(&case, &penalty, &y) - objective(&case, &penalty, &x);
                assert!((change - moved.change).abs() < 1e-10, "{rule:?} {kind:?}");
                assert!(change <= 1e-12, "{rule:?} {kind:?} {change}");
                for (i, (x, y)) in x.iter().zip(&y).enumerate() {
                    assert_eq!(penalty.project(i, *y), *y);
                    assert!(block.contains(&(i as u32)) || x == y);
                }
            }
        }
    }
}

#[test]
fn gradient_and_matrix_steps_are_those_of_the_formulas() {
    for (kind, seed) in KINDS.into_iter().flat_map(|k| (0..15).map(move |s| (k, s))) {
        let case = Case::new(kind, seed % 2 == 0, seed);
        let x = point(case.size(), &Penalty::NONE, seed);
        let block = [1u32, 4];
        let g = case.gradient(&x);
        let mut bound = Symmetric::default();
        case.with(&x, true, |p, work| p.bound(&block, &mut bound, work).unwrap());
        let [a, b, c] = [bound.values[0], bound.values[1], bound.values[3]];
        let largest = 0.5 * (a + c) + (0.25 * (a - c).powi(2) + b * b).sqrt();
        let (g0, g1) = (g[1], g[4]);
        let (y, _) = updated(&case, UpdateRule::Gradient, &Penalty::NONE, &x, &block);
        assert!((y[1] - (x[1] - g0 / largest)).abs() < 1e-7, "{kind:?}");
        assert!((y[4] - (x[4] - g1 / largest)).abs() < 1e-7, "{kind:?}");
        let determinant = a * c - b * b;
        let (y, _) = updated(&case, UpdateRule::Matrix, &Penalty::NONE, &x, &block);
        let d = [(b * g1 - c * g0) / determinant, (b * g0 - a * g1) / determinant];
        assert!((y[1] - x[1] - d[0]).abs() < 1e-6 * (1.0 + d[0].abs()), "{kind:?}");
        assert!((y[4] - x[4] - d[1]).abs() < 1e-6 * (1.0 + d[1].abs()), "{kind:?}");
    }
}

#[test]
fn exact_updates_leave_nothing_to_gain_in_the_block() {
    for (kind, seed) in KINDS.into_iter().flat_map(|k| (0..10).map(move |s| (k, s))) {
        for penalty in penalties() {
            let case = Case::new(kind, seed % 2 == 0, seed);
            let x = point(case.size(), &penalty, seed);
            let (y, _) = updated(&case, UpdateRule::Exact, &penalty, &x, &[0, 3, 4]);
            let g = case.gradient(&y);
            for i in [0, 3, 4] {
                let s = penalty.subgradient(i, y[i], g[i]);
                // Gradients by differences are good to 1e-7; separable data may have no minimum.
                assert!(s.abs() < 1e-5 || y[i].abs() > 20.0, "{kind:?} {seed} {i} {s} {y:?}");
            }
        }
    }
}

#[test]
fn message_passing_is_the_dense_solve() {
    for seed in 0..40 {
        let case = Case::new(Kind::Quadratic, true, 200 + seed);
        let x = point(case.size(), &Penalty::NONE, seed);
        let forest = case.with(&x, true, |problem, _| {
            sparrot_sparse::forest::greedy(problem.graph().unwrap(), 0..case.size() as u32)
        });
        let (y, moved) = updated(&case, UpdateRule::MessagePassing, &Penalty::NONE, &x, &forest);
        let (z, other) = updated(&case, UpdateRule::Exact, &Penalty::NONE, &x, &forest);
        for (y, z) in y.iter().zip(&z) {
            assert!((y - z).abs() < 1e-12 * (1.0 + z.abs()), "{y} {z}");
        }
        assert!((moved.change - other.change).abs() < 1e-12 * (1.0 + other.change.abs()));
        // With bounds it ends where two-metric projection with dense systems does.
        for penalty in penalties() {
            let x = point(case.size(), &penalty, seed);
            let (mut y, mut z) = (x.clone(), x);
            for _ in 0..40 {
                y = updated(&case, UpdateRule::MessagePassing, &penalty, &y, &forest).0;
                z = updated(&case, UpdateRule::TwoMetric, &penalty, &z, &forest).0;
            }
            let (a, b) = (objective(&case, &penalty, &y), objective(&case, &penalty, &z));
            assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "{a} {b}");
        }
    }
}

#[test]
fn all_end_at_the_same_minimum_with_a_gap_that_holds() {
    use sparrot_descent::{Partition, Selection};
    use sparrot_foundation::stop::Unobserved;
    use sparrot_foundation::{Stop, Team};
    for (kind, seed) in KINDS.into_iter().flat_map(|k| (0..4).map(move |s| (k, s))) {
        for penalty in &penalties()[1..] {
            let case = Case::new(kind, seed % 2 == 0, 300 + seed);
            let x = point(case.size(), penalty, seed);
            let mut values = vec![];
            for rule in ALL {
                let settings = Settings {
                    partition: Partition::Variable,
                    selection: Selection::Gsd,
                    update: rule,
                    block_size: 3,
                    tol: 1e-7,
                    max_iter: 20_000,
                    seed,
                };
                let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
                let found = case.with(&x, true, |problem, _| {
                    solve(problem, penalty, &x, &settings, &team, &stop).unwrap()
                });
                // Non-negative logistic regression without L1 may have its minimum at infinity.
                if kind != Kind::Quadratic && penalty.l1.at(0) == 0.0 && kind != Kind::LeastSquares
                {
                    continue;
                }
                assert_eq!(found.status, Status::Converged, "{kind:?} {rule:?} {found:?}");
                values.push(found.value);
                if kind != Kind::Quadratic && penalty.l1.at(0) > 0.0 {
                    assert!(found.gap >= 0.0 && found.gap < 1e-4, "{kind:?} {rule:?} {found:?}");
                }
            }
            for value in &values {
                assert!(
                    (value - values[0]).abs() < 1e-8 * (1.0 + value.abs()),
                    "{kind:?} {values:?}"
                );
            }
        }
    }
}
