//! Penalties of groups on random problems: optimality, certificates, forms of the data.

use proptest::prelude::*;
use sparrot_design::Design;
use sparrot_foundation::stop::Unobserved;
use sparrot_foundation::{Status, Stop, Team};
use sparrot_prox::block::Weighted;
use sparrot_prox::{BlockPenalty, Group, Mcp, Separable, SparseGroup};
use sparrot_regression::{BlockSolver, Data, Groups, Limits, Point};
use sparrot_sparse::Compressed;

const N: usize = 9;
const P: usize = 8;

struct Case {
    columns: Vec<Vec<f64>>,
    responses: Vec<Vec<f64>>,
    sample: Vec<f64>,
    centred: bool,
}

fn solved(
    case: &Case,
    design: &Design<'_, f64>,
    groups: &Groups,
    penalty: &impl BlockPenalty,
    tol: f64,
) -> Point {
    let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
    let (first, others) = (&case.responses[0], &case.responses[1..]);
    let sample = Some(&case.sample[..]);
    let data = Data::new(design, first, sample, case.centred, &team, &stop).unwrap();
    let others: Vec<&[f64]> = others.iter().map(|y| &y[..]).collect();
    let mut solver = BlockSolver::new(data, &others, groups.clone(), &team, &stop).unwrap();
    solver.solve(penalty, Limits { tol, max_iter: 200 }, &team, &stop).unwrap()
}

/// The objective, from its definition.
fn objective(case: &Case, point: &Point, groups: &Groups, penalty: &impl BlockPenalty) -> f64 {
    let tasks = case.responses.len();
    let mut w = vec![vec![0.0; P]; tasks];
    for (k, j) in point.columns.iter().enumerate() {
        for (t, w) in w.iter_mut().enumerate() {
            w[*j as usize] = point.coefficients[k * tasks + t];
        }
    }
    let mut sum = 0.0;
    for ((y, w), b) in case.responses.iter().zip(&w).zip(&point.intercepts) {
        for (i, y) in y.iter().enumerate() {
            let fit: f64 = (0..P).map(|j| case.columns[j][i] * w[j]).sum();
            sum += 0.5 * case.sample[i] * (y - fit - b).powi(2);
        }
    }
    for g in 0..groups.len() {
        let columns = groups.columns(g);
        let values: Vec<f64> =
            columns.iter().flat_map(|j| w.iter().map(move |w| w[*j as usize])).collect();
        sum += penalty.value(g, &values);
    }
    sum
}

fn check(case: &Case, groups: &Groups, penalty: &impl BlockPenalty) -> Result<(), TestCaseError> {
    let dense = Design::Dense(case.columns.iter().map(|c| &c[..]).collect());
    let tight = solved(case, &dense, groups, penalty, 1e-10);
    prop_assert!(matches!(tight.status, Status::Converged | Status::Stalled), "{tight:?}");
    let found = objective(case, &tight, groups, penalty);
    prop_assert!((found - tight.objective).abs() <= 1e-9 * (1.0 + found), "{found} {tight:?}");
    let loose = solved(case, &dense, groups, penalty, 1e-2);
    prop_assert!(loose.objective - tight.objective <= loose.certificate + 1e-9);
    let (mut starts, mut indices, mut values) = (vec![0u32], vec![], vec![]);
    for column in &case.columns {
        for (i, x) in column.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            indices.push(i as u32);
            values.push(*x);
        }
        starts.push(indices.len() as u32);
    }
    let view = Compressed { starts: &starts, indices: &indices, values: &values };
    let sparse = solved(case, &Design::Sparse(view, N), groups, penalty, 1e-10);
    prop_assert!((sparse.objective - tight.objective).abs() <= 1e-7 * (1.0 + found));
    Ok(())
}

proptest! {
    #[test]
    fn groups_are_certified(
        entries in prop::collection::vec(prop_oneof![-2.0..2.0f64, Just(0.0)], N * P),
        responses in prop::collection::vec(prop::collection::vec(-2.0..2.0f64, N), 1..4),
        sample in prop::collection::vec(0.0..2.0f64, N),
        weights in prop::collection::vec(
            prop_oneof![Just(f64::INFINITY), 0.5..2.0f64], 3),
        lambda in prop_oneof![1.0..5.0f64, 0.01..0.5f64],
        centred: bool,
        positive: bool,
    ) {
        let mut sample = sample;
        sample[0] += 0.5;
        let columns: Vec<Vec<f64>> = entries.chunks(N).map(<[f64]>::to_vec).collect();
        let case = Case { columns, responses, sample, centred };
        let groups = Groups::new([3, 1, 4].into_iter(), vec![0, 5, 2, 7, 1, 3, 4, 6]);
        let group = Weighted { lambda, weights: Some(&weights) };
        check(&case, &groups, &Group { lambda: group, positive })?;
        let group = Weighted { lambda, weights: None };
        check(&case, &groups, &SparseGroup { group, lambda: 0.3 * lambda, positive })?;
    }

    /// Also where some have no penalty, and however slowly that converges.
    #[test]
    fn gaps_are_never_below_the_true_ones(
        entries in prop::collection::vec(-2.0..2.0f64, N * P),
        responses in prop::collection::vec(prop::collection::vec(-2.0..2.0f64, N), 1..3),
        lambda in 0.01..3.0f64,
        dependence in prop_oneof![Just(1.0), Just(1e-3), Just(1e-8)],
        centred: bool,
        positive: bool,
    ) {
        let mut columns: Vec<Vec<f64>> = entries.chunks(N).map(<[f64]>::to_vec).collect();
        let first = columns[0].clone();
        columns[1].iter_mut().zip(first).for_each(|(x, other)| *x = other + dependence * *x);
        let case = Case { columns, responses, sample: vec![1.0; N], centred };
        let dense = Design::Dense(case.columns.iter().map(|c| &c[..]).collect());
        let groups = Groups::new([2, 3, 3].into_iter(), (0..P as u32).collect());
        let weights = [0.0, 1.0, 1.0];
        let penalty = Group { lambda: Weighted { lambda, weights: Some(&weights) }, positive };
        let points: Vec<Point> = [1.0, 1e-2, 1e-6]
            .into_iter()
            .map(|tol| solved(&case, &dense, &groups, &penalty, tol))
            .collect();
        let best = points.iter().map(|p| p.objective).fold(f64::INFINITY, f64::min);
        for point in &points {
            prop_assert!(point.objective - best <= point.certificate + 1e-9, "{point:?}");
        }
    }

    /// No other value of one coefficient is better.
    #[test]
    fn stationary_points_are_certified(
        entries in prop::collection::vec(-2.0..2.0f64, N * P),
        y in prop::collection::vec(-2.0..2.0f64, N),
        lambda in 0.1..3.0f64,
        gamma in 0.05..2.0f64,
        column in 0..P,
        step in -2.0..2.0f64,
    ) {
        let columns: Vec<Vec<f64>> = entries.chunks(N).map(<[f64]>::to_vec).collect();
        let sample = vec![1.0; N];
        let case = Case { columns, responses: vec![y], sample, centred: false };
        let dense = Design::Dense(case.columns.iter().map(|c| &c[..]).collect());
        let lambda = Weighted { lambda, weights: None };
        let penalty = Separable { penalty: Mcp { gamma }, lambda, positive: false };
        let groups = Groups::single(P);
        let point = solved(&case, &dense, &groups, &penalty, 1e-9);
        prop_assert!(matches!(point.status, Status::Converged | Status::Stalled), "{point:?}");
        let mut moved = point.clone();
        let place = moved.columns.iter().position(|j| *j as usize == column);
        let place = place.unwrap_or_else(|| {
            moved.columns.push(column as u32);
            moved.coefficients.push(0.0);
            moved.columns.len() - 1
        });
        for value in [0.0, moved.coefficients[place] + step] {
            moved.coefficients[place] = value;
            let other = objective(&case, &moved, &groups, &penalty);
            prop_assert!(other >= point.objective - 1e-7 * (1.0 + other));
        }
    }
}
