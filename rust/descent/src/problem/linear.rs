//! Linear models: `f(x) = sum_j loss_j(z_j)`, z = A x.
//!
//! Variable `i k + c` is the coefficient of feature i for class c of k. Kept are z, the derivatives
//! `r_j = loss_j'(z_j)`, and, for rules that want it, the gradient `A'r`. A step of a block moves
//! z in the rows that its columns touch. The gradient follows in one of three ways, whichever costs
//! least: by those rows alone, where A is sparse; by the columns of A'A that belong to the block,
//! for least squares with sparse A, which are kept, since greedy rules choose the same variables
//! over and over; or by a pass over A.
//!
//! `H = A'A` times the bound of the loss; with m classes in a block and k in all,
//! `(I - 11'/min(k, m + 1)) / 2` between classes: those outside the block act as one.

use sparrot_design::{Design, Element};
use std::collections::HashMap;

use sparrot_foundation::Error;
use sparrot_simd::linear;
use sparrot_sparse::compressed::Owned;

use super::loss::Loss;
use super::{Changed, Smooth, Sum, Work};
use crate::Penalty;
use crate::dense::Symmetric;

/// An update by rows is done where it costs less than this share of a pass over A.
const WORTH_ROWS: f64 = 0.5;
/// How many scattered additions cost as much as one in a row of additions.
const SCATTERED: usize = 8;
/// The columns of A'A that are kept take at most so many numbers (128 MiB).
const MOST_KEPT: usize = 1 << 24;

/// A linear model, and the point that a solver stands on.
pub struct Linear<'a, T> {
    design: Design<'a, T>,
    loss: &'a dyn Loss,
    lipschitz: Vec<f64>,
    /// All rows.
    all: Vec<u32>,
    z: Vec<f64>,
    r: Vec<f64>,
    value: Sum,
    keeps_gradient: bool,
    /// At x; kept, or forgotten with the next step.
    gradient: Option<Vec<f64>>,
    /// A by rows, if the gradient is kept and A is sparse.
    by_rows: Option<Owned<T>>,
    /// Columns of `A'A`.
    kept: HashMap<u32, Vec<f64>>,
    step: Step,
}

/// A step that was tried.
struct Step {
    block: Vec<u32>,
    d: Vec<f64>,
    /// The rows that it touches; `is_touched` marks them.
    rows: Vec<u32>,
    is_touched: Vec<bool>,
    /// What it adds to z in those rows, in their order; by row while it is summed up.
    u: Vec<f64>,
    by_row: Vec<f64>,
    change: f64,
    /// Which coordinates of the gradient a step changes.
    is_changed: Vec<bool>,
}

impl<'a, T: Element> Linear<'a, T> {
    /// A model at x = 0, to be placed.
    pub fn new(design: Design<'a, T>, loss: &'a dyn Loss) -> Linear<'a, T> {
        let (n, k) = (design.rows(), loss.classes());
        let own = if k == 1 { loss.bound() } else { loss.bound() * 0.5 };
        let norms = design.squared_norms();
        let lipschitz = norms.iter().flat_map(|l| std::iter::repeat_n(own * l, k)).collect();
        Linear {
            lipschitz,
            all: (0..n as u32).collect(),
            z: vec![0.0; n * k],
            r: vec![0.0; n * k],
            value: Sum::new(0.0),
            keeps_gradient: false,
            gradient: None,
            by_rows: None,
            kept: HashMap::new(),
            step: Step {
                block: vec![],
                d: vec![],
                rows: vec![],
                is_touched: vec![false; n],
                u: vec![],
                by_row: vec![0.0; n * k],
                change: 0.0,
                is_changed: vec![],
            },
            design,
            loss,
        }
    }

    fn k(&self) -> usize {
        self.loss.classes()
    }

    /// The weight of the bound between two classes, if the block has m.
    fn class_weight(&self, a: usize, b: usize, m: usize) -> f64 {
        let k = self.k();
        if k == 1 {
            return self.loss.bound();
        }
        let shared = 1.0 / k.min(m + 1) as f64;
        self.loss.bound() * (f64::from(u8::from(a == b)) - shared)
    }

    /// `sum_j a_ji a_jl weight(j)` for all pairs of the block, whose features and classes are
    /// given; `weight` may depend on the classes.
    fn gram(
        &self,
        block: &[u32],
        out: &mut Symmetric,
        weight: impl Fn(usize, usize, usize) -> f64,
        work: Work<'_>,
    ) -> Result<(), Error> {
        let k = self.k();
        out.clear(block.len());
        let mut column = vec![0.0; self.design.rows()];
        for (p, v) in block.iter().map(|v| *v as usize).enumerate() {
            work.stop.poll()?;
            let first = |j| if k == 1 { weight(j, 0, 0) } else { 1.0 };
            self.design.for_column(v / k, |j, a| column[j] = a * first(j));
            for (q, w) in block[..=p].iter().map(|w| *w as usize).enumerate() {
                let mut sum = 0.0;
                if k == 1 {
                    sum = self.design.column_dot(w, &column, 1, 0);
                } else {
                    self.design.for_column(w / k, |j, a| {
                        sum += column[j] * a * weight(j, v % k, w % k);
                    });
                }
                out.set(p, q, sum);
            }
            self.design.for_column(v / k, |j, _| column[j] = 0.0);
        }
        Ok(())
    }

    fn distinct_classes(&self, block: &[u32]) -> usize {
        let k = self.k();
        let mut classes: Vec<usize> = block.iter().map(|v| *v as usize % k).collect();
        classes.sort_unstable();
        classes.dedup();
        classes.len()
    }

    /// The gradient by the rows of the last step, whose change of r is in `step.by_row`; lists
    /// where it changes.
    fn follow_rows(&mut self, changed: &mut Vec<u32>) {
        let (Some(rows), Some(gradient)) = (&self.by_rows, &mut self.gradient) else { return };
        let (k, step) = (self.loss.classes(), &mut self.step);
        step.is_changed.resize(gradient.len() / k, false);
        let mut features = vec![];
        for j in step.rows.iter().map(|j| *j as usize) {
            let moved = &step.by_row[j * k..(j + 1) * k];
            let (indices, values) = rows.view().line(j);
            for (i, a) in indices.iter().zip(values) {
                let (at, a) = (*i as usize * k, a.to_f64());
                for (g, moved) in gradient[at..at + k].iter_mut().zip(moved) {
                    *g += a * moved;
                }
                if !step.is_changed[*i as usize] {
                    step.is_changed[*i as usize] = true;
                    features.push(*i);
                }
            }
        }
        for i in features {
            step.is_changed[i as usize] = false;
            changed.extend(i * k as u32..(i + 1) * k as u32);
        }
    }

    /// The gradient by the columns of `A'A` that belong to the last step; whether that was done.
    fn follow_columns(&mut self) -> bool {
        let (Some(rows), Some(gradient)) = (&self.by_rows, &mut self.gradient) else {
            return false;
        };
        let p = gradient.len();
        let missing = self.step.block.iter().filter(|i| !self.kept.contains_key(i)).count();
        // Of each that is missing: the entries of its rows, on average.
        let entries = self.design.entries();
        let making = missing * (entries / p + 1) * (entries / self.design.rows() + 1);
        let is_dear = making as f64 > WORTH_ROWS * entries as f64;
        if !self.loss.is_square() || is_dear || (self.kept.len() + missing) * p > MOST_KEPT {
            return false;
        }
        for (i, d) in self.step.block.iter().zip(&self.step.d) {
            let column = self.kept.entry(*i).or_insert_with(|| {
                let mut column = vec![0.0; p];
                self.design.for_column(*i as usize, |j, a| {
                    let (indices, values) = rows.view().line(j);
                    for (l, b) in indices.iter().zip(values) {
                        column[*l as usize] += a * b.to_f64();
                    }
                });
                column
            });
            linear::axpy(*d, column, gradient);
        }
        true
    }

    /// How many entries the rows that the last step touches have, if they are there.
    fn touched_entries(&self) -> Option<usize> {
        let rows = self.by_rows.as_ref()?;
        let length = |j: &u32| (rows.starts[*j as usize + 1] - rows.starts[*j as usize]) as usize;
        Some(self.step.rows.iter().map(length).sum())
    }
}

impl<T: Element> Smooth for Linear<'_, T> {
    fn size(&self) -> usize {
        self.lipschitz.len()
    }

    fn lipschitz(&self) -> &[f64] {
        &self.lipschitz
    }

    fn row_sums(&self) -> Vec<f64> {
        let k = self.k();
        let among: f64 = (0..k).map(|c| self.class_weight(0, c, k).abs()).sum();
        let sums = self.design.gram_row_sums();
        sums.iter().flat_map(|s| std::iter::repeat_n(among * s, k)).collect()
    }

    fn bound(&self, block: &[u32], out: &mut Symmetric, work: Work<'_>) -> Result<(), Error> {
        let m = self.distinct_classes(block);
        self.gram(block, out, |_, _, _| 1.0, work)?;
        let k = self.k();
        for (p, v) in block.iter().enumerate() {
            for (q, w) in block.iter().enumerate() {
                out.values[p + q * block.len()] *=
                    self.class_weight(*v as usize % k, *w as usize % k, m);
            }
        }
        Ok(())
    }

    fn hessian(&mut self, block: &[u32], out: &mut Symmetric, work: Work<'_>) -> Result<(), Error> {
        let k = self.k();
        let mut curvatures = vec![0.0; self.z.len()];
        self.loss.curvatures(&self.z, &self.r, &mut curvatures)?;
        if k == 1 {
            return self.gram(block, out, |j, _, _| curvatures[j], work);
        }
        let weight = |j: usize, c: usize, d: usize| {
            let (p, q) = (curvatures[j * k + c], curvatures[j * k + d]);
            if c == d { p * (1.0 - p) } else { -p * q }
        };
        self.gram(block, out, weight, work)
    }

    fn bound_product(&self, d: &[f64], out: &mut [f64], work: Work<'_>) -> Result<(), Error> {
        let k = self.k();
        let mut image = vec![0.0; self.z.len()];
        self.design.add_product(d, k, &mut image, work.stop)?;
        // Between classes: bound (I - 11'/k).
        for row in image.chunks_mut(k) {
            let mean = if k == 1 { 0.0 } else { row.iter().sum::<f64>() / k as f64 };
            row.iter_mut().for_each(|v| *v = self.loss.bound() * (*v - mean));
        }
        self.design.transposed_product(&image, k, out, work.team, work.stop)
    }

    fn place(&mut self, x: &[f64], keeps_gradient: bool, work: Work<'_>) -> Result<(), Error> {
        let k = self.k();
        self.z.fill(0.0);
        self.design.add_product(x, k, &mut self.z, work.stop)?;
        self.loss.derivatives(&self.all, &self.z, &mut self.r)?;
        self.value = Sum::new(self.loss.value(&self.all, &self.z)?);
        self.gradient = None;
        self.keeps_gradient = keeps_gradient;
        if keeps_gradient {
            if let (Design::Sparse(columns, rows), None) = (&self.design, &self.by_rows) {
                self.by_rows = Some(columns.transposed(*rows));
            }
            self.gradient(work)?;
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        self.value.get()
    }

    fn gradient(&mut self, work: Work<'_>) -> Result<&[f64], Error> {
        let k = self.loss.classes();
        let gradient = match self.gradient.take() {
            Some(gradient) => gradient,
            None => {
                let mut gradient = vec![0.0; self.lipschitz.len()];
                self.design.transposed_product(&self.r, k, &mut gradient, work.team, work.stop)?;
                gradient
            }
        };
        Ok(self.gradient.insert(gradient))
    }

    fn block_gradient(&self, block: &[u32], out: &mut [f64]) {
        let k = self.k();
        for (v, out) in block.iter().map(|v| *v as usize).zip(out) {
            *out = match &self.gradient {
                Some(gradient) => gradient[v],
                None => self.design.column_dot(v / k, &self.r, k, v % k),
            };
        }
    }

    fn try_step(&mut self, block: &[u32], d: &[f64]) -> Result<f64, Error> {
        let k = self.loss.classes();
        let step = &mut self.step;
        step.block.clear();
        step.block.extend_from_slice(block);
        step.d.clear();
        step.d.extend_from_slice(d);
        for j in step.rows.drain(..) {
            step.is_touched[j as usize] = false;
            step.by_row[j as usize * k..(j as usize + 1) * k].fill(0.0);
        }
        for (v, d) in block.iter().map(|v| *v as usize).zip(d).filter(|(_, d)| **d != 0.0) {
            self.design.for_column(v / k, |j, a| {
                step.by_row[j * k + v % k] += a * d;
                if !step.is_touched[j] {
                    step.is_touched[j] = true;
                    step.rows.push(j as u32);
                }
            });
        }
        step.u.clear();
        for j in step.rows.iter().map(|j| *j as usize) {
            step.u.extend_from_slice(&step.by_row[j * k..(j + 1) * k]);
        }
        step.change = self.loss.change(&step.rows, &self.z, &self.r, &step.u)?;
        Ok(step.change)
    }

    fn accept(&mut self, changed: &mut Vec<u32>, work: Work<'_>) -> Result<Changed, Error> {
        let k = self.k();
        let step = &mut self.step;
        self.value.add(step.change);
        for (j, u) in step.rows.iter().map(|j| *j as usize).zip(step.u.chunks(k)) {
            for (c, u) in u.iter().enumerate() {
                self.z[j * k + c] += u;
                // From here on `by_row` is by how much r moves.
                step.by_row[j * k + c] = -self.r[j * k + c];
            }
        }
        self.loss.derivatives(&step.rows, &self.z, &mut self.r)?;
        for j in step.rows.iter().map(|j| *j as usize) {
            for c in j * k..(j + 1) * k {
                step.by_row[c] += self.r[c];
            }
        }
        let scattered = self.touched_entries().filter(|_| self.keeps_gradient);
        if let Some(entries) = scattered {
            let in_a_row = self.step.block.len() * self.size() / SCATTERED;
            if entries > in_a_row && self.follow_columns() {
                return Ok(Changed::All);
            }
            if (entries as f64) < WORTH_ROWS * self.design.entries() as f64 {
                self.follow_rows(changed);
                return Ok(Changed::Listed);
            }
        }
        let old = self.gradient.take();
        if let Some(mut gradient) = old.filter(|_| self.keeps_gradient) {
            self.design.transposed_product(&self.r, k, &mut gradient, work.team, work.stop)?;
            self.gradient = Some(gradient);
        }
        Ok(Changed::All)
    }

    fn pass_cost(&self) -> usize {
        self.design.entries() * self.k()
    }

    fn dual_bound(&self, penalty: &Penalty<'_>, gradient: &[f64]) -> Option<f64> {
        let each = || gradient.iter().enumerate();
        let scale = each().map(|(i, g)| penalty.shrink(i, -g)).fold(1.0, f64::min);
        // Off the edge of what is feasible, by rounding.
        let scale = if scale < 1.0 { scale * (1.0 - 1e-15) } else { scale };
        let penalties: f64 = each().map(|(i, g)| penalty.conjugate(i, -scale * g)).sum();
        let bound = -self.loss.conjugate(scale, &self.r)? - penalties;
        bound.is_finite().then_some(bound)
    }
}
