//! Problems whose solutions are known, and what the certificate says of answers to them.

use sparrot_foundation::stop::Unobserved;
use sparrot_foundation::{Error, Status, Stop, Team};
use sparrot_sketch::{Answer, Dense, Kind, Problem, Rows, Settings, sketch, solve};

const SETTINGS: Settings =
    Settings { gram: true, rcond: 1e-14, tol: 1e-13, max_passes: 10, seed: 1 };

fn solved(problem: Problem<'_>, settings: &Settings, threads: usize) -> Result<Answer, Error> {
    solve(problem, settings, &Team::new(Some(threads)), &Stop::new(&Unobserved, None))
}

fn problem<'a>(a: &'a dyn Rows, b: &'a [f64]) -> Problem<'a> {
    Problem { a, b, targets: 1, weights: None, ridge: 0.0, intercept: false }
}

/// Rows of a polynomial of degree 7 at integers: an integer matrix of condition number 1e10 or so.
fn powers(n: usize) -> Vec<f64> {
    (0..n).flat_map(|i| (0..8).map(move |j| ((i % 23) as f64).powi(j))).collect()
}

#[test]
fn integers_come_back_at_any_condition_for_any_threads() {
    let n = 5000;
    let a = powers(n);
    let x = [3.0, -1.0, 4.0, -1.0, 5.0, -9.0, 2.0, -6.0];
    let b: Vec<f64> = a.chunks(8).map(|row| row.iter().zip(x).map(|(a, x)| a * x).sum()).collect();
    let rows = Dense::new(&a, n, 8, false);
    for (gram, method, sketch_rows) in [(true, "gram", 32), (false, "cholesky-qr", 32)] {
        // The norms of columns differ by 1e9, and the tolerance is relative to the largest of all: this
        // asks for all digits of each.
        let settings = Settings { gram, tol: 1e-22, ..SETTINGS };
        let one = solved(problem(&rows, &b), &settings, 1).unwrap();
        assert_eq!(one.status, Status::Converged);
        assert_eq!((one.rank, one.method, one.sketch_rows), (8, method, sketch_rows));
        for ((found, bound), x) in one.x.iter().zip(&one.bounds).zip(x) {
            assert!((found - x).abs() <= *bound && *bound < 1e-12);
        }
        let three = solved(problem(&rows, &b), &settings, 3).unwrap();
        assert_eq!((&one.x, &one.bounds), (&three.x, &three.bounds));
    }
}

#[test]
fn the_same_with_an_intercept_and_weights() {
    let n = 3000;
    let a: Vec<f64> = powers(n).chunks(8).flat_map(|row| row[1..5].to_vec()).collect();
    let b: Vec<f64> = a.chunks(4).map(|row| 7.0 + row[0] - 2.0 * row[2]).collect();
    let weights: Vec<f64> = (0..n).map(|i| (i % 5) as f64).collect();
    let rows = Dense::new(&a, n, 4, false);
    let problem = Problem { weights: Some(&weights), intercept: true, ..problem(&rows, &b) };
    let found = solved(problem, &SETTINGS, 2).unwrap();
    assert_eq!((found.x[0], found.x[2], found.intercepts[0]), (1.0, -2.0, 7.0));
    assert!(found.x[1].abs() <= found.bounds[1] && found.x[3].abs() <= found.bounds[3]);
    assert!(found.bounds.iter().all(|b| *b < 1e-14) && found.intercept_bounds[0] < 1e-10);
}

#[test]
fn dependent_columns_are_found_and_nothing_is_proven_of_them() {
    let n = 400;
    let a: Vec<f64> = (0..n)
        .flat_map(|i| {
            let (s, t) = ((i as f64).sin(), (i as f64 * 0.7).cos());
            [s, t, s + t]
        })
        .collect();
    let b: Vec<f64> = (0..n).map(|i| (i % 7) as f64).collect();
    let found = solved(problem(&Dense::new(&a, n, 3, false), &b), &SETTINGS, 1).unwrap();
    assert_eq!(found.rank, 2);
    assert!(found.bounds.iter().all(|b| b.is_infinite()));
    // Of minimum norm: orthogonal to (1, 1, -1).
    assert!((found.x[0] + found.x[1] - found.x[2]).abs() < 1e-13);
}

#[test]
fn what_cannot_be_solved_says_why() {
    let mut a = powers(100);
    a[403] = f64::NAN;
    let b = vec![1.0; 100];
    let found = solved(problem(&Dense::new(&a, 100, 8, false), &b), &SETTINGS, 1);
    assert!(matches!(found, Err(Error::InvalidInput { argument: "A", message })
        if message.contains("NaN at index (50, 3)")));
    let tiny = vec![1e-200; 100];
    let found = solved(problem(&Dense::new(&tiny, 100, 1, false), &b), &SETTINGS, 1);
    assert!(matches!(found, Err(Error::InvalidInput { argument: "A", .. })));
}

#[test]
fn sketches_keep_norms() {
    let n = 3000;
    let a: Vec<f64> = (0..n).map(|i| if i == 7 { 50.0 } else { 1.0 }).collect();
    let rows = Dense::new(&a, n, 1, false);
    let squares: f64 = a.iter().map(|v| v * v).sum();
    let kinds = [
        Kind::Srht { block: None },
        Kind::Srht { block: Some(1024) },
        Kind::Pooled { padded: None },
        Kind::Gaussian,
        Kind::SparseSign { nonzeros: 4 },
    ];
    let (team, stop) = (Team::new(Some(2)), Stop::new(&Unobserved, None));
    for kind in kinds {
        let found = sketch(&rows, kind, 1500, 3, 0, &team, &stop).unwrap();
        let ratio = found.iter().map(|v| v * v).sum::<f64>() / squares;
        // A block's share of the rows sees the large one alone, which makes no difference to a norm.
        assert!((0.8..1.25).contains(&ratio), "{kind:?}: {ratio}");
    }
}
