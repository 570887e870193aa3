//! Functions, gradients, Hessians and bounds are what they are by definition, also after steps.

#![allow(clippy::needless_range_loop, reason = "formulas with two indices")]

mod common;

use common::{Case, KINDS, Kind, point};
use sparrot_descent::Penalty;
use sparrot_descent::dense::Symmetric;
use sparrot_descent::problem::Changed;

fn close(a: f64, b: f64, tol: f64) -> bool {
    (a - b).abs() <= tol * (1.0 + b.abs())
}

#[test]
fn values_gradients_and_hessians() {
    for (kind, seed) in KINDS.into_iter().flat_map(|k| (0..20).map(move |s| (k, s))) {
        let case = Case::new(kind, seed % 2 == 0, seed);
        let x = point(case.size(), &Penalty::NONE, seed);
        case.with(&x, seed % 3 == 0, |problem, work| {
            assert!(close(problem.value(), case.value(&x), 1e-12), "{kind:?}");
            let expected = case.gradient(&x);
            let gradient = problem.gradient(work).unwrap().to_vec();
            assert!(gradient.iter().zip(&expected).all(|(a, b)| close(*a, *b, 1e-7)), "{kind:?}");
            let all: Vec<u32> = (0..case.size() as u32).collect();
            let mut h = Symmetric::default();
            problem.hessian(&all, &mut h, work).unwrap();
            // Columns of the Hessian by differences of gradients.
            for v in 0..case.size() {
                let mut moved = x.clone();
                moved[v] += 1e-4;
                let up = case.gradient(&moved);
                moved[v] -= 2e-4;
                let down = case.gradient(&moved);
                for w in 0..case.size() {
                    let second = (up[w] - down[w]) / 2e-4;
                    assert!(close(h.column(v)[w], second, 1e-4), "{kind:?} {v} {w}");
                }
            }
            let mut bound = Symmetric::default();
            problem.bound(&all, &mut bound, work).unwrap();
            let expected = case.bound();
            for v in 0..case.size() {
                for w in 0..case.size() {
                    assert!(close(bound.column(v)[w], expected[v][w], 1e-12), "{kind:?} {v} {w}");
                    // The bound is one: the difference is positive semi-definite.
                    bound.values[v * case.size() + w] -= h.column(v)[w];
                }
            }
            let shift = 1e3;
            (0..case.size()).for_each(|v| bound.values[v * (case.size() + 1)] -= shift);
            bound.values.iter_mut().for_each(|v| *v = -*v);
            assert!(bound.largest_eigenvalue() <= shift * (1.0 + 1e-12), "{kind:?}");
            let l = case.lipschitz();
            assert!(problem.lipschitz().iter().zip(&l).all(|(a, b)| close(*a, *b, 1e-12)));
            // Row sums, exact for quadratics and upper bounds for the others.
            for (v, sum) in problem.row_sums().into_iter().enumerate() {
                let exact: f64 = expected[v].iter().map(|h| h.abs()).sum();
                assert!(sum >= exact * (1.0 - 1e-12), "{kind:?}");
                assert!(kind != Kind::Quadratic || close(sum, exact, 1e-12));
            }
            let d: Vec<f64> = (0..case.size()).map(|v| (v as f64).sin()).collect();
            let mut image = vec![0.0; case.size()];
            problem.bound_product(&d, &mut image, work).unwrap();
            for (v, image) in image.iter().enumerate() {
                let product: f64 = expected[v].iter().zip(&d).map(|(h, d)| h * d).sum();
                assert!(close(*image, product, 1e-12), "{kind:?}");
            }
        });
    }
}

#[test]
fn steps_are_followed() {
    for (kind, seed) in KINDS.into_iter().flat_map(|k| (0..20).map(move |s| (k, s))) {
        let (is_sparse, keeps) = (seed % 2 == 0, seed % 3 != 0);
        let case = Case::new(kind, is_sparse, seed);
        let mut x = point(case.size(), &Penalty::NONE, seed);
        case.with(&x.clone(), keeps, |problem, work| {
            let mut before = problem.gradient(work).unwrap().to_vec();
            for step in 0..15u32 {
                let block = [(step * 5 + seed as u32) % case.size() as u32, (step * 7) % 6];
                let block = if block[0] == block[1] { vec![block[0]] } else { block.to_vec() };
                let d: Vec<f64> = block.iter().map(|i| (f64::from(i * 3 + step)).sin()).collect();
                let old = case.value(&x);
                let change = problem.try_step(&block, &d).unwrap();
                if step % 4 == 3 {
                    continue; // a trial that is not taken changes nothing
                }
                block.iter().zip(&d).for_each(|(i, d)| x[*i as usize] += d);
                assert!((change - (case.value(&x) - old)).abs() < 1e-10 * (1.0 + old.abs()));
                let mut listed = vec![];
                let changed = problem.accept(&mut listed, work).unwrap();
                assert!(close(problem.value(), case.value(&x), 1e-11));
                let mut of_block = vec![0.0; block.len()];
                problem.block_gradient(&block, &mut of_block);
                let expected = case.gradient(&x);
                for (i, g) in block.iter().zip(&of_block) {
                    assert!(close(*g, expected[*i as usize], 1e-6), "{kind:?}");
                }
                let gradient = problem.gradient(work).unwrap().to_vec();
                for v in 0..case.size() {
                    assert!(close(gradient[v], expected[v], 1e-6), "{kind:?} {step} {v}");
                    let is_listed = changed == Changed::All || listed.contains(&(v as u32));
                    assert!(is_listed || gradient[v] == before[v], "{kind:?} {step} {v}");
                }
                before = gradient;
            }
        });
    }
}
