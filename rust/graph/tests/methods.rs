//! Every method solves the same problems, and bounds hold, against Gaussian elimination.

use proptest::prelude::*;
use sparrot_foundation::stop::{Stop, Unobserved};
use sparrot_foundation::{Status, Team};
use sparrot_graph::cg::Limits;
use sparrot_graph::{Method, Problem, certificate, solve};
use sparrot_sparse::Compressed;

/// A graph by rows, which nodes are fixed, and values.
#[derive(Clone, Debug)]
struct Case {
    n: usize,
    k: usize,
    weights: Vec<f64>,
    fixed: Vec<bool>,
    diagonal: Vec<f64>,
    values: Vec<f64>,
}

fn cases() -> impl Strategy<Value = Case> {
    (2usize..12, 1usize..11).prop_flat_map(|(n, k)| {
        let weights = prop::collection::vec(prop_oneof![Just(0.0), 0.01..10.0f64], n * n);
        let fixed = prop::collection::vec(any::<bool>(), n);
        let diagonal = prop::collection::vec(prop_oneof![Just(0.0), 0.0..2.0f64], n);
        let values = prop::collection::vec(-1.0..1.0f64, n * k);
        (weights, fixed, diagonal, values).prop_map(
            move |(mut weights, mut fixed, diagonal, values)| {
                // A path joins all nodes, the first of which is fixed: all are reached.
                fixed[0] = true;
                for i in 0..n {
                    weights[i * n + i] = 0.0;
                    for j in 0..i {
                        let weight = if j + 1 == i { 1.0 } else { weights[j * n + i] };
                        weights[i * n + j] = weight;
                        weights[j * n + i] = weight;
                    }
                }
                Case { n, k, weights, fixed, diagonal, values }
            },
        )
    })
}

impl Case {
    fn compressed(&self) -> (Vec<u32>, Vec<u32>, Vec<f64>) {
        let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
        for row in self.weights.chunks_exact(self.n) {
            for (j, w) in row.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                indices.push(j as u32);
                values.push(*w);
            }
            starts.push(indices.len() as u32);
        }
        (starts, indices, values)
    }

    /// By elimination with the rows of fixed nodes replaced by the identity.
    fn solution(&self) -> Vec<f64> {
        let Case { n, k, .. } = *self;
        let mut rows: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                let weights = &self.weights[i * n..(i + 1) * n];
                let unit = |j: usize| f64::from(u8::from(i == j));
                let total = weights.iter().sum::<f64>() + self.diagonal[i];
                let left = (0..n)
                    .map(|j| if self.fixed[i] { unit(j) } else { total * unit(j) - weights[j] });
                let values = &self.values[i * k..(i + 1) * k];
                // Sources of 0.3 where nothing is fixed.
                let right = values.iter().map(|v| if self.fixed[i] { *v } else { 0.3 });
                left.chain(right).collect()
            })
            .collect();
        for p in 0..n {
            let best = (p..n).max_by(|a, b| rows[*a][p].abs().total_cmp(&rows[*b][p].abs()));
            rows.swap(p, best.unwrap());
            let pivot = rows[p].clone();
            for (_, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != p) {
                let share = row[p] / pivot[p];
                row.iter_mut().zip(&pivot).for_each(|(x, y)| *x -= share * y);
            }
        }
        (0..n)
            .flat_map(|i| (0..k).map(move |c| (i, c)))
            .map(|(i, c)| rows[i][n + c] / rows[i][i])
            .collect()
    }
}

proptest! {
    #[test]
    fn methods_agree_and_bounds_hold(case in cases()) {
        let (starts, indices, values) = case.compressed();
        let source: Vec<f64> = vec![0.3; case.n * case.k];
        let problem = Problem {
            weights: Compressed { starts: &starts, indices: &indices, values: &values },
            fixed: &case.fixed,
            diagonal: Some(&case.diagonal),
            source: Some(&source),
            k: case.k,
        };
        let expected = case.solution();
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        for (name, method) in Method::NAMES {
            let mut x = case.values.clone();
            let limits = Limits { tol: 1e-12, max_iter: 10_000, give_up: None };
            let solution = solve(&problem, &mut x, method, limits, &team, &stop).unwrap();
            prop_assert_eq!(solution.status, Status::Converged, "{}", name);
            prop_assert!(solution.unreached.is_empty());
            let bounds = certificate::error_bounds(&problem, &x, &team, &stop).unwrap();
            for ((x, expected), bound) in x.iter().zip(&expected).zip(&bounds) {
                let error = (x - expected).abs();
                prop_assert!(error < 1e-9 * (1.0 + expected.abs()), "{name}: {x} {expected}");
                prop_assert!(error <= bound + 1e-12 * (1.0 + expected.abs()), "{name}: {bound}");
            }
        }
    }
}
