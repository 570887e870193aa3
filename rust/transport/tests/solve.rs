//! The crate by itself, without Python: all methods, all layouts, interruption.

use sparrot_foundation::stop::{Observer, Stop, Unobserved, Verdict};
use sparrot_foundation::{Error, Record, Status, Team};
use sparrot_transport::geometry::{Cost, MatrixView, Metric, Points};
use sparrot_transport::plan::{self, Potentials};
use sparrot_transport::problem::{SIDES, survey};
use sparrot_transport::sns::SnsSettings;
use sparrot_transport::{Method, Problem, Settings, Solution, solve};

/// Numbers in [0, 1) that look random: the low bits of a linear congruential generator, mixed.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state ^ (state >> 29)) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| next()).collect()
}

fn weights(count: usize, seed: u64) -> Vec<f64> {
    let raw: Vec<f64> = numbers(count, seed).into_iter().map(|x| x + 0.05).collect();
    let total: f64 = raw.iter().sum();
    raw.into_iter().map(|x| x / total).collect()
}

fn methods() -> [Method; 4] {
    [
        Method::Anneal { range: None },
        Method::Sinkhorn,
        Method::Sns(SnsSettings::default()),
        Method::Sns(SnsSettings { growth: 4.0, ..SnsSettings::default() }),
    ]
}

fn run(problem: &Problem<'_>, method: Method, threads: usize) -> Result<Solution, Error> {
    let settings = Settings { method, init: None, tol: 1e-9, max_iter: 20_000, keeps_plan: false };
    solve(problem, &settings, &Team::new(Some(threads)), &Stop::new(&Unobserved, None))
}

fn dense(problem: &Problem<'_>, solution: &Solution) -> Vec<f64> {
    let potentials = Potentials::scaled(&solution.f, &solution.g, problem.reg);
    let mut out = vec![0.0; problem.a.len() * problem.b.len()];
    let stop = Stop::new(&Unobserved, None);
    plan::dense(problem, &potentials, &mut out, &Team::new(Some(2)), &stop).unwrap();
    out
}

#[test]
fn plans_have_the_marginals_and_the_certificate_says_so() {
    let (n, m) = (90, 70);
    let data = numbers(n * m, 1);
    let (a, b) = (weights(n, 2), weights(m, 3));
    let cost = MatrixView::row_major(&data, m);
    let problem = Problem { cost: &cost, a: &a, b: &b, reg: 0.05, sides: SIDES, relaxation: None };
    for method in methods() {
        let solution = run(&problem, method, 2).unwrap();
        assert_eq!(solution.status, Status::Converged);
        let plan = dense(&problem, &solution);
        let rows = (0..n).map(|i| (plan[i * m..(i + 1) * m].iter().sum::<f64>() - a[i]).abs());
        let columns = (0..m).map(|j| ((0..n).map(|i| plan[i * m + j]).sum::<f64>() - b[j]).abs());
        let error: f64 = rows.chain(columns).sum();
        assert!(error <= 1e-9 && (error - solution.certificate.marginal_error).abs() < 1e-12);
        let c = solution.certificate;
        assert!(c.gap >= 0.0 && c.gap < 1e-8 && c.lower_bound <= c.upper_bound);
        assert!((c.value - c.dual_value).abs() < 1e-8);
    }
}

#[test]
fn layouts_and_element_types_agree() {
    let (n, m) = (40, 60);
    let data: Vec<f64> = numbers(n * m, 4).into_iter().map(|x| f64::from(x as f32)).collect();
    let single: Vec<f32> = data.iter().map(|x| *x as f32).collect();
    let by_columns: Vec<f64> =
        (0..m).flat_map(|j| (0..n).map(|i| data[i * m + j]).collect::<Vec<_>>()).collect();
    let (a, b) = (weights(n, 5), weights(m, 6));
    let views: [&dyn Cost; 3] = [
        &MatrixView::row_major(&data, m),
        &MatrixView::row_major(&single, m),
        &MatrixView { by_columns: true, ..MatrixView::row_major(&by_columns, n) },
    ];
    let potentials: Vec<Solution> = views
        .into_iter()
        .map(|cost| {
            let problem = Problem { cost, a: &a, b: &b, reg: 0.02, sides: SIDES, relaxation: None };
            run(&problem, methods()[2].clone(), 1).unwrap()
        })
        .collect();
    assert_eq!(potentials[0].f, potentials[1].f);
    // The other orientation takes other steps to the same optimum.
    let value = |s: &Solution| s.certificate.value;
    assert!((value(&potentials[0]) - value(&potentials[2])).abs() < 1e-8);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (n, m) = (600, 500);
    let points = |seed| numbers(3 * n.max(m), seed);
    let cost = Points::new(Metric::Euclidean, &points(7)[..3 * n], &points(8)[..3 * m], 3).unwrap();
    let (a, b) = (weights(n, 9), weights(m, 10));
    let problem = Problem { cost: &cost, a: &a, b: &b, reg: 0.02, sides: SIDES, relaxation: None };
    for method in methods() {
        let one = run(&problem, method.clone(), 1).unwrap();
        for threads in [2, 5] {
            let other = run(&problem, method.clone(), threads).unwrap();
            assert_eq!(one.f, other.f);
            assert_eq!(one.certificate, other.certificate);
        }
    }
}

#[test]
fn a_survey_finds_the_range_and_what_is_no_cost() {
    let stop = Stop::new(&Unobserved, None);
    let mut data = numbers(12, 11);
    data[5] = f64::INFINITY;
    data[7] = -3.0;
    let (a, b) = (vec![1.0 / 3.0; 3], vec![0.25; 4]);
    let look = |data: &[f64]| {
        survey(&MatrixView::row_major(data, 4), [&a, &b], true, &Team::new(Some(1)), &stop).unwrap()
    };
    let found = look(&data);
    let finite: Vec<f64> = data.iter().copied().filter(|x| x.is_finite()).collect();
    assert_eq!(found.min, -3.0);
    assert_eq!(found.max, finite.iter().copied().fold(0.0, f64::max));
    assert!((found.mean - finite.iter().sum::<f64>() / 11.0).abs() < 1e-15);
    assert_eq!(found.not_a_cost, None);
    data[9] = f64::NEG_INFINITY;
    assert_eq!(look(&data).not_a_cost, Some((2, 1, f64::NEG_INFINITY)));
    data[6] = f64::NAN;
    let (i, j, value) = look(&data).not_a_cost.unwrap();
    assert!((i, j) == (1, 2) && value.is_nan());
}

#[test]
fn interrupts_abandon_and_callbacks_end_a_solve() {
    struct After(usize, Verdict);
    impl Observer for After {
        fn observe(&self, record: &Record) -> Verdict {
            if record.iteration >= self.0 { self.1 } else { Verdict::Continue }
        }
    }
    let data = numbers(50 * 50, 12);
    let cost = MatrixView::row_major(&data, 50);
    let w = vec![0.02; 50];
    let problem = Problem { cost: &cost, a: &w, b: &w, reg: 1e-3, sides: SIDES, relaxation: None };
    for method in methods() {
        let settings =
            Settings { method, init: None, tol: 1e-12, max_iter: 20_000, keeps_plan: false };
        let ended = |verdict| {
            let observer = After(3, verdict);
            solve(&problem, &settings, &Team::new(Some(1)), &Stop::new(&observer, None))
        };
        let solution = ended(Verdict::End).unwrap();
        assert_eq!(solution.status, Status::Callback);
        assert!(solution.certificate.marginal_error.is_finite());
        assert_eq!(ended(Verdict::Abandon), Err(Error::Interrupted));
    }
}
