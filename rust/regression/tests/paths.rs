//! Several classes, the largest penalty, and paths of penalties that are not convex, on random problems.

use proptest::prelude::*;
use sparrot_design::Design;
use sparrot_foundation::stop::Unobserved;
use sparrot_foundation::{Status, Stop, Team};
use sparrot_prox::block::Weighted;
use sparrot_prox::{BlockPenalty, Group, Mcp, Separable};
use sparrot_regression::{
    BlockSolver, Bounds, Data, Groups, Limits, Model, Multinomial, Point, Settings, from_lassos,
};

const N: usize = 15;
const P: usize = 6;
const K: usize = 3;

fn columns() -> impl Strategy<Value = Vec<Vec<f64>>> {
    proptest::collection::vec(proptest::collection::vec(-2.0..2.0f64, N), P)
}

fn classes() -> impl Strategy<Value = Vec<usize>> {
    // Each is there.
    proptest::collection::vec(0..K, N - K).prop_map(|some| (0..K).chain(some).collect())
}

/// The objective of the classes, from its definition.
fn objective(columns: &[Vec<f64>], of: &[usize], point: &Point, settings: &Settings<'_>) -> f64 {
    let mut sum: f64 = point.coefficients.iter().map(|w| settings.lambda * w.abs()).sum();
    for (i, class) in of.iter().enumerate() {
        let value = |k: usize| {
            let used = point.columns.iter().enumerate();
            let products =
                used.map(|(q, j)| columns[*j as usize][i] * point.coefficients[q * K + k]);
            products.sum::<f64>() + point.intercepts[k]
        };
        sum += (0..K).map(|k| value(k).exp()).sum::<f64>().ln() - value(*class);
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_gap_of_classes_is_not_below_the_true_one(
        columns in columns(),
        of in classes(),
        lambda in prop_oneof![Just(0.1), Just(1.0), Just(100.0)],
        tol in prop_oneof![Just(0.3), Just(1e-2), Just(1e-5)],
        centred: bool,
    ) {
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        let design = Design::Dense(columns.iter().map(|c| &c[..]).collect());
        let target = |k| of.iter().map(|c| if *c == k { 1.0 } else { -1.0 }).collect();
        let targets: Vec<Vec<f64>> = (0..K).map(target).collect();
        let targets: Vec<&[f64]> = targets.iter().map(|y| &y[..]).collect();
        let solve = |tol: f64| {
            let settings = Settings {
                lambda, mu: 0.0, weights: None, bounds: Bounds::of_sign(false), tol, max_iter: 200,
            };
            let mut model = Multinomial::new(&design, &targets, None, centred, &team, &stop)?;
            let point = model.solve(&settings, &team, &stop)?;
            let found = objective(&columns, &of, &point, &settings);
            Ok::<(Point, f64), sparrot_foundation::Error>((point, found))
        };
        let (loose, found) = solve(tol).unwrap();
        let (tight, best) = solve(1e-10).unwrap();
        prop_assert_eq!(tight.status, Status::Converged);
        prop_assert!((loose.objective - found).abs() < 1e-9 * found);
        prop_assert!(loose.certificate >= found - best - 1e-12 * best);
    }

    #[test]
    fn all_groups_with_a_penalty_are_0_from_the_critical_factor_on(
        columns in columns(),
        y in proptest::collection::vec(-2.0..2.0f64, N),
        has_free: bool,
    ) {
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        let design = Design::Dense(columns.iter().map(|c| &c[..]).collect());
        let groups = Groups::new([2, 1, 3].into_iter(), (0..P as u32).collect());
        let weights = [if has_free { 0.0 } else { 1.0 }, 1.0, 2.0];
        let lambda = Weighted { lambda: 1.0, weights: Some(&weights) };
        let penalty = Group { lambda, positive: false };
        let limits = Limits { tol: 1e-11, max_iter: 500 };
        let solver = || {
            let data = Data::new(&design, &y, None, true, &team, &stop)?;
            BlockSolver::new(data, &[], groups.clone(), &team, &stop)
        };
        let factor = solver().unwrap().critical_factor(&penalty, limits, &team, &stop).unwrap();
        for (by, is_0) in [(1.001, true), (0.99, false)] {
            let scaled = penalty.scaled(by * factor);
            let point = solver().unwrap().solve(&scaled, limits, &team, &stop).unwrap();
            let free = if has_free { 2 } else { 0 };
            prop_assert_eq!(point.columns.iter().all(|j| *j < free), is_0, "{}", by);
        }
    }

    #[test]
    fn what_is_found_for_a_penalty_does_not_depend_on_those_before(
        columns in columns(),
        y in proptest::collection::vec(-2.0..2.0f64, N),
    ) {
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        let design = Design::Dense(columns.iter().map(|c| &c[..]).collect());
        let limits = Limits { tol: 1e-9, max_iter: 500 };
        let along = |lambdas: &[f64]| {
            let data = Data::new(&design, &y, None, true, &team, &stop)?;
            let of = |lambda: &f64| {
                let lambda = Weighted { lambda: *lambda, weights: None };
                Separable { penalty: Mcp { gamma: 3.0 }, lambda, positive: false }
            };
            let penalties: Vec<_> = lambdas.iter().map(of).collect();
            from_lassos(data, &penalties, limits, &team, &stop)
        };
        let (path, alone) = (along(&[8.0, 4.0, 2.0, 1.0]).unwrap(), along(&[1.0]).unwrap());
        prop_assert!((path[3].objective - alone[0].objective).abs() < 1e-7 * alone[0].objective);
        prop_assert_eq!(&path[3].columns, &alone[0].columns);
    }
}
