//! Norms of groups with any loss: groups of one are single columns, and of more the conditions hold.

use proptest::prelude::*;
use sparrot_design::Design;
use sparrot_design::loss::{Huber, Logistic, Poisson, RowLoss};
use sparrot_foundation::stop::Unobserved;
use sparrot_foundation::{Status, Stop, Team};
use sparrot_regression::model::lambda_max;
use sparrot_regression::{Bounds, Glm, Grouped, Groups, Model, Point, Settings, Single, Structure};

const N: usize = 14;
const P: usize = 8;

struct Case<'a> {
    columns: &'a [Vec<f64>],
    y: Vec<f64>,
    sample: &'a [f64],
    centred: bool,
}

/// The solution for a share of the largest lambda.
fn solved(
    case: &Case<'_>,
    loss: impl RowLoss,
    structure: &impl Structure,
    share: f64,
    at: impl Fn(f64) -> Settings<'static>,
) -> Point {
    let design = Design::Dense(case.columns.iter().map(|c| &c[..]).collect());
    let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
    let rows = (&case.y[..], Some(case.sample));
    let mut model = Glm::new(&design, loss, structure, rows, case.centred, &team, &stop).unwrap();
    let largest = lambda_max(&mut model, &at(1.0), &team, &stop).unwrap();
    let point = model.solve(&at(largest), &team, &stop).unwrap();
    assert!(point.columns.is_empty(), "{point:?}");
    model.solve(&at(share * largest), &team, &stop).unwrap()
}

/// Whether two solutions of one problem are as far apart as they may be, and rounding.
fn agree(a: &Point, b: &Point) -> bool {
    let rounding = 1e-14 * (1.0 + a.objective.abs());
    (a.objective - b.objective).abs() <= a.certificate.max(b.certificate) + rounding
}

fn check(case: &Case<'_>, loss: impl RowLoss, share: f64, mu: f64) -> Result<(), TestCaseError> {
    let bounds = Bounds::of_sign(false);
    let at = |lambda| Settings { lambda, mu, weights: None, bounds, tol: 1e-10, max_iter: 500 };
    let of_one = Grouped::new(Groups::single(P), P);
    let one = solved(case, loss, &of_one, share, at);
    let single = solved(case, loss, &Single, share, at);
    prop_assert!(agree(&one, &single), "{one:?} {single:?}");
    // Groups of several, in another order of the columns: the same problem.
    let order = vec![6, 1, 4, 0, 7, 2, 5, 3];
    let sizes = || [3, 1, 4].into_iter();
    let columns: Vec<Vec<f64>> = order.iter().map(|j| case.columns[*j as usize].clone()).collect();
    let found = solved(case, loss, &Grouped::new(Groups::new(sizes(), order), P), share, at);
    let other = Case { columns: &columns, y: case.y.clone(), ..*case };
    let in_order = Grouped::new(Groups::new(sizes(), (0..P as u32).collect()), P);
    let expected = solved(&other, loss, &in_order, share, at);
    prop_assert!(matches!(found.status, Status::Converged), "{found:?}");
    prop_assert!(agree(&found, &expected), "{found:?} {expected:?}");
    Ok(())
}

proptest! {
    #[test]
    fn the_order_of_columns_and_groups_of_one_change_nothing(
        entries in prop::collection::vec(-2.0..2.0f64, N * P),
        targets in prop::collection::vec(-2.0..2.0f64, N),
        sample in prop::collection::vec(0.1..2.0f64, N),
        share in prop_oneof![Just(0.9), 0.02..0.5f64],
        mu in prop_oneof![Just(0.0), 0.01..1.0f64],
        centred: bool,
    ) {
        let columns: Vec<Vec<f64>> = entries.chunks(N).map(<[f64]>::to_vec).collect();
        let case = |y: Vec<f64>| Case { columns: &columns, y, sample: &sample, centred };
        let mut signs: Vec<f64> = targets.iter().map(|y| y.signum()).collect();
        (signs[0], signs[1]) = (1.0, -1.0);
        check(&case(signs), Logistic, share, mu)?;
        let mut counts: Vec<f64> = targets.iter().map(|y| y.abs().floor()).collect();
        counts[0] = 3.0;
        check(&case(counts), Poisson, share, mu)?;
        check(&case(targets), Huber { delta: 0.5 }, share, mu)?;
    }
}
