//! Small problems of every kind, and what they are by definition.

#![allow(dead_code, reason = "each test uses a part")]

use sparrot_descent::problem::loss::{Loss, Multinomial, Rows};
use sparrot_descent::problem::{Linear, Quadratic, Smooth, Work};
use sparrot_descent::{Penalty, PerCoordinate};
use sparrot_design::Design;
use sparrot_design::loss::{LeastSquares, Logistic};
use sparrot_foundation::random::Stream;
use sparrot_foundation::stop::Unobserved;
use sparrot_foundation::{Stop, Team};
use sparrot_sparse::Compressed;

/// Which problem.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    LeastSquares,
    Logistic,
    Multinomial,
    Quadratic,
}

pub const KINDS: [Kind; 4] =
    [Kind::LeastSquares, Kind::Logistic, Kind::Multinomial, Kind::Quadratic];
pub const ROWS: usize = 7;
pub const COLUMNS: usize = 6;
pub const CLASSES: usize = 3;

/// The data of a problem, by a seed.
pub struct Case {
    pub kind: Kind,
    /// A, dense, by rows; n x p, or symmetric p x p for quadratics.
    pub a: Vec<Vec<f64>>,
    pub b: Vec<f64>,
    pub labels: Vec<u32>,
    pub is_sparse: bool,
}

pub fn normal(random: &mut Stream) -> f64 {
    (0..12).map(|_| random.uniform()).sum::<f64>() - 6.0
}

impl Case {
    pub fn new(kind: Kind, is_sparse: bool, seed: u64) -> Case {
        let mut random = Stream::new(seed);
        let entry = |random: &mut Stream| {
            let value = normal(random);
            if is_sparse && random.uniform() < 0.6 { 0.0 } else { value }
        };
        let mut a: Vec<Vec<f64>> =
            (0..ROWS).map(|_| (0..COLUMNS).map(|_| entry(&mut random)).collect()).collect();
        for j in 0..COLUMNS {
            a[j % ROWS][j] += 0.5; // no column without an entry
        }
        if kind == Kind::Quadratic {
            a = (0..COLUMNS)
                .map(|i| {
                    let dot = |j: usize| -> f64 { a.iter().map(|row| row[i] * row[j]).sum() };
                    (0..COLUMNS).map(|j| dot(j) + if i == j { 0.3 } else { 0.0 }).collect()
                })
                .collect();
        }
        let b = (0..a.len())
            .map(|_| normal(&mut random))
            .map(|b| if kind == Kind::Logistic { b.signum() } else { b })
            .collect();
        let labels = (0..a.len()).map(|_| random.below(CLASSES) as u32).collect();
        Case { kind, a, b, labels, is_sparse }
    }

    pub fn classes(&self) -> usize {
        if self.kind == Kind::Multinomial { CLASSES } else { 1 }
    }

    pub fn size(&self) -> usize {
        COLUMNS * self.classes()
    }

    /// Gives the problem, placed at x, to `work`.
    pub fn with<R>(
        &self,
        x: &[f64],
        keeps: bool,
        task: impl FnOnce(&mut dyn Smooth, Work<'_>) -> R,
    ) -> R {
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        let work = Work { team: &team, stop: &stop };
        let lines: Vec<Vec<f64>> =
            (0..COLUMNS).map(|j| self.a.iter().map(|row| row[j]).collect()).collect();
        let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
        for line in &lines {
            for (i, v) in line.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                indices.push(i as u32);
                values.push(*v);
            }
            starts.push(indices.len() as u32);
        }
        let view = Compressed { starts: &starts, indices: &indices, values: &values };
        if self.kind == Kind::Quadratic {
            let mut problem = Quadratic::new(view, &self.b);
            problem.place(x, keeps, work).unwrap();
            return task(&mut problem, work);
        }
        let loss: Box<dyn Loss + '_> = match self.kind {
            Kind::Logistic => Box::new(Rows(Logistic, &self.b)),
            Kind::Multinomial => Box::new(Multinomial { labels: &self.labels, classes: CLASSES }),
            _ => Box::new(Rows(LeastSquares, &self.b)),
        };
        let design = if self.is_sparse {
            Design::Sparse(view, self.a.len())
        } else {
            Design::Dense(lines.iter().map(|l| &l[..]).collect())
        };
        let mut problem = Linear::new(design, &*loss);
        problem.place(x, keeps, work).unwrap();
        task(&mut problem, work)
    }

    /// f, by its definition.
    pub fn value(&self, x: &[f64]) -> f64 {
        let k = self.classes();
        let z =
            |i: usize, c: usize| -> f64 { (0..COLUMNS).map(|j| self.a[i][j] * x[j * k + c]).sum() };
        (0..self.a.len())
            .map(|i| match self.kind {
                Kind::LeastSquares => 0.5 * (z(i, 0) - self.b[i]).powi(2),
                Kind::Logistic => (1.0 + (-self.b[i] * z(i, 0)).exp()).ln(),
                Kind::Multinomial => {
                    (0..k).map(|c| z(i, c).exp()).sum::<f64>().ln() - z(i, self.labels[i] as usize)
                }
                Kind::Quadratic => x[i] * (0.5 * z(i, 0) - self.b[i]),
            })
            .sum()
    }

    /// The gradient, by central differences of f.
    pub fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let h = 1e-5;
        let mut at = x.to_vec();
        (0..x.len())
            .map(|i| {
                at[i] = x[i] + h;
                let up = self.value(&at);
                at[i] = x[i] - h;
                let down = self.value(&at);
                at[i] = x[i];
                (up - down) / (2.0 * h)
            })
            .collect()
    }

    /// The fixed bound of the Hessian, whole; between classes for blocks of all classes.
    pub fn bound(&self) -> Vec<Vec<f64>> {
        let (k, n) = (self.classes(), self.size());
        let gram = |i: usize, j: usize| -> f64 { self.a.iter().map(|r| r[i] * r[j]).sum() };
        let entry = |v: usize, w: usize| match self.kind {
            Kind::Quadratic => self.a[v][w],
            Kind::LeastSquares => gram(v, w),
            Kind::Logistic => 0.25 * gram(v, w),
            Kind::Multinomial => {
                let same = if v % k == w % k { 1.0 } else { 0.0 };
                0.5 * (same - 1.0 / k as f64) * gram(v / k, w / k)
            }
        };
        (0..n).map(|v| (0..n).map(|w| entry(v, w)).collect()).collect()
    }

    /// L, by its definition.
    pub fn lipschitz(&self) -> Vec<f64> {
        let k = self.classes();
        let square = |j: usize| -> f64 { self.a.iter().map(|r| r[j] * r[j]).sum() };
        (0..self.size())
            .map(|v| match self.kind {
                Kind::Quadratic => self.a[v][v],
                Kind::LeastSquares => square(v),
                Kind::Logistic => 0.25 * square(v),
                Kind::Multinomial => 0.25 * square(v / k),
            })
            .collect()
    }
}

/// Penalties to try: none, L1, non-negativity, both with an upper bound.
pub fn penalties() -> [Penalty<'static>; 4] {
    let of = |l1, lower, upper| Penalty {
        l1: PerCoordinate::Same(l1),
        lower: PerCoordinate::Same(lower),
        upper: PerCoordinate::Same(upper),
    };
    let inf = f64::INFINITY;
    [Penalty::NONE, of(0.4, -inf, inf), of(0.0, 0.0, inf), of(0.3, 0.0, 0.6)]
}

/// A point within the bounds, some of it at 0.
pub fn point(size: usize, penalty: &Penalty<'_>, seed: u64) -> Vec<f64> {
    let mut random = Stream::new(seed);
    (0..size)
        .map(|i| {
            let value = if random.uniform() < 0.3 { 0.0 } else { 0.5 * normal(&mut random) };
            penalty.project(i, value)
        })
        .collect()
}
