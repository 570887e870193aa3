//! Solutions of random problems fulfil the optimality conditions, whatever the form of the data.

use proptest::prelude::*;
use sparrot_design::Design;
use sparrot_foundation::stop::Unobserved;
use sparrot_foundation::{Status, Stop, Team};
use sparrot_regression::model::lambda_max;
use sparrot_regression::{Bounds, Data, Interval, Model, Point, Settings, Solver};
use sparrot_sparse::Compressed;

struct Case {
    columns: Vec<Vec<f64>>,
    y: Vec<f64>,
    sample: Option<Vec<f64>>,
    centred: bool,
}

fn solved(case: &Case, design: &Design<'_, f64>, settings: &Settings<'_>) -> Point {
    let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
    let sample = case.sample.as_deref();
    let data = Data::new(design, &case.y, sample, case.centred, &team, &stop).unwrap();
    Solver::new(data).unwrap().solve(settings, &team, &stop).unwrap()
}

fn sparse(columns: &[Vec<f64>]) -> (Vec<u32>, Vec<u32>, Vec<f64>) {
    let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
    for column in columns {
        for (i, x) in column.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            indices.push(i as u32);
            values.push(*x);
        }
        starts.push(indices.len() as u32);
    }
    (starts, indices, values)
}

/// The largest violation of the optimality conditions.
fn violation(case: &Case, point: &Point, settings: &Settings<'_>) -> f64 {
    let (n, p) = (case.y.len(), case.columns.len());
    let mut w = vec![0.0; p];
    for (j, value) in point.columns.iter().zip(&point.coefficients) {
        w[*j as usize] = *value;
    }
    let sample = |i: usize| case.sample.as_ref().map_or(1.0, |s| s[i]);
    let residual: Vec<f64> = (0..n)
        .map(|i| {
            case.y[i] - point.intercepts[0] - (0..p).map(|j| case.columns[j][i] * w[j]).sum::<f64>()
        })
        .collect();
    let mut worst = 0.0f64;
    if case.centred {
        worst = worst.max((0..n).map(|i| sample(i) * residual[i]).sum::<f64>().abs());
    }
    for j in 0..p {
        let product: f64 = (0..n).map(|i| sample(i) * case.columns[j][i] * residual[i]).sum();
        let h = product - settings.mu * w[j];
        let interval = settings.bounds.of(j as u32);
        let lambda = settings.lambda * settings.weights.map_or(1.0, |v| v[j]);
        let here = if lambda == f64::INFINITY {
            w[j].abs()
        } else if w[j] == 0.0 {
            (interval.pull(h) - lambda).max(0.0)
        } else {
            let outward = h * w[j].signum() - lambda;
            if interval.holds_at_end(w[j]) { (-outward).max(0.0) } else { outward.abs() }
        };
        worst = worst.max(here);
        if interval.nearest(w[j]) != w[j] {
            return f64::INFINITY;
        }
    }
    worst
}

/// How far a coefficient may be from 0 on one side.
fn end() -> impl Strategy<Value = f64> {
    prop_oneof![2 => 0.001..1.5f64, 1 => Just(0.0), 1 => Just(f64::INFINITY), 1 => Just(1e9)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]
    #[test]
    fn the_conditions_hold(
        n in 2usize..12, p in 1usize..16, entries in prop::collection::vec(-2.0..2.0f64, 200),
        zeros in prop::collection::vec(any::<bool>(), 200),
        sample in prop::option::of(prop::collection::vec(0.0..3.0f64, 12)),
        centred: bool, positive: bool, mean in prop_oneof![Just(0.0), Just(5.0)],
        weights in prop::option::of(prop::collection::vec(
            prop_oneof![4 => 0.2..3.0f64, 1 => Just(0.0), 1 => Just(f64::INFINITY)], 16)),
        share in prop_oneof![Just(1.5), 0.001..1.0f64, Just(1e-4)],
        mu in prop_oneof![Just(0.0), 0.01..2.0f64],
        duplicate: bool,
        ends in prop::option::of(prop::collection::vec((end(), end()), 16)),
    ) {
        let entry = |i: usize, j: usize| {
            let k = (i * 17 + j * 5) % 200;
            if zeros[k] { 0.0 } else { entries[k] + mean }
        };
        let mut columns: Vec<Vec<f64>> =
            (0..p).map(|j| (0..n).map(|i| entry(i, j)).collect()).collect();
        if duplicate && p > 1 {
            columns[p - 1] = columns[0].clone();
        }
        let y: Vec<f64> = (0..n).map(|i| entries[(7 * i + 3) % 200] * 2.0 + 1.0).collect();
        let mut sample = sample.map(|s| s[..n].to_vec());
        if let Some(sample) = &mut sample {
            sample[0] += 0.5;
            sample[1] = 0.0;
        }
        let case = Case { columns, y, sample, centred };
        let weights = weights.map(|v| v[..p].to_vec());
        let dense = Design::Dense(case.columns.iter().map(|c| &c[..]).collect());
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        let data =
            Data::new(&dense, &case.y, case.sample.as_deref(), centred, &team, &stop).unwrap();
        let unit = data.yy;
        let intervals: Option<Vec<Interval>> = ends.map(|ends| {
            ends[..p].iter().map(|(lower, upper)| Interval { lower: -lower, upper: *upper }).collect()
        });
        let at = |lambda: f64| Settings {
            lambda,
            mu,
            weights: weights.as_deref(),
            bounds: intervals.as_deref().map_or(Bounds::of_sign(positive), Bounds::Each),
            tol: 1e-12,
            max_iter: 1000,
        };
        let mut solver = Solver::new(data).unwrap();
        let largest = lambda_max(&mut solver, &at(1.0), &team, &stop).unwrap();
        let settings = at((share * largest).max(1e-9));
        let point = solved(&case, &dense, &settings);
        prop_assert!(matches!(point.status, Status::Converged | Status::Stalled));
        prop_assert!(point.status == Status::Converged || point.certificate <= 1e-9 * unit, "{:?}", point);
        prop_assert!(violation(&case, &point, &settings) < 1e-5, "{} {:?}", violation(&case, &point, &settings), point);
        let (starts, indices, values) = sparse(&case.columns);
        let view = Compressed { starts: &starts, indices: &indices, values: &values };
        let sparse = Design::Sparse(view, n);
        let other = solved(&case, &sparse, &settings);
        prop_assert!((point.objective - other.objective).abs() <= 1e-9 * (1.0 + unit));
        prop_assert!(violation(&case, &other, &settings) < 1e-5);
    }
}
