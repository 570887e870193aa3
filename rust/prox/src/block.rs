//! Penalties of a block of numbers, as a solver by blocks needs them.
//!
//! | penalty | of block g |
//! |---|---|
//! | [`Separable`] | the sum of a penalty of a number over the block, the same for all blocks or not |
//! | [`Group`] | `lambda_g` times its Euclidean norm (Yuan and Lin, JRSS B 68, 2006) |
//! | [`SparseGroup`] | that, and lambda times its L1 norm (Simon, Friedman, Hastie and Tibshirani, J. Comput. Graph. Statist. 22, 2013) |
//!
//! With `positive`, numbers must not be negative. The proximal operators are then those of the positive
//! part: a penalty that does not fall in the magnitude never makes a negative number positive.

use crate::scalar::{Cel0, L1, ScalarPenalty};

/// A penalty that is a sum over blocks.
pub trait BlockPenalty: Clone + Send + Sync {
    /// Whether it is convex; [`Self::share`] is for those that are.
    const IS_CONVEX: bool;

    /// Whether numbers must not be negative.
    fn is_positive(&self) -> bool;

    /// The penalty of a block.
    fn value(&self, block: usize, w: &[f64]) -> f64;

    /// Replaces u by the proximal operator of the block's penalty with a step t.
    fn prox(&self, block: usize, u: &mut [f64], t: f64);

    /// The largest s in [0, 1] for which `s h` is a subgradient of the block's penalty at 0.
    fn share(&self, block: usize, h: &[f64]) -> f64;

    /// How far h is from the border of the subgradients at 0, at least; negative outside.
    fn slack(&self, block: usize, h: &[f64]) -> f64;

    /// The same penalty with lambda multiplied.
    fn scaled(&self, factor: f64) -> Self;

    /// Whether the block is left out of the model: its penalty is infinite.
    fn excludes(&self, block: usize) -> bool;

    /// Whether the block has no penalty.
    fn is_free(&self, block: usize) -> bool;

    /// `(lambda_g, lambda)` of a block whose penalty is `lambda_g |w|_2 + lambda |w|_1`, if it is one.
    fn norms(&self, _block: usize) -> Option<(f64, f64)> {
        None
    }
}

/// lambda of a block: a common one times the block's weight.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    /// The common one.
    pub lambda: f64,
    /// Non-negative, infinity for blocks that are left out; `None` for 1.
    pub weights: Option<&'a [f64]>,
}

impl Weighted<'_> {
    /// lambda of a block.
    pub fn of(&self, block: usize) -> f64 {
        match self.weights {
            None => self.lambda,
            // Also if lambda is 0.
            Some(v) if v[block] == f64::INFINITY => f64::INFINITY,
            Some(v) => self.lambda * v[block],
        }
    }

    fn scaled(self, factor: f64) -> Self {
        Weighted { lambda: self.lambda * factor, ..self }
    }
}

fn positive_part(u: &mut [f64], positive: bool) {
    if positive {
        u.iter_mut().for_each(|u| *u = u.max(0.0));
    }
}

fn norm(u: &[f64], positive: bool) -> f64 {
    u.iter().map(|u| if positive { u.max(0.0) } else { *u }).map(|u| u * u).sum::<f64>().sqrt()
}

/// A penalty of the numbers of a block, which may depend on the block.
pub trait OfBlock: Copy + Send + Sync {
    /// Its kind.
    type Scalar: ScalarPenalty;

    /// That of a block.
    fn of(&self, block: usize) -> Self::Scalar;
}

/// The same for all.
impl<P: ScalarPenalty> OfBlock for P {
    type Scalar = P;

    fn of(&self, _block: usize) -> P {
        *self
    }
}

/// [`Cel0`] for columns with these squared norms, each a block.
#[derive(Clone, Copy, Debug)]
pub struct Cel0OfColumns<'a>(pub &'a [f64]);

impl OfBlock for Cel0OfColumns<'_> {
    type Scalar = Cel0;

    fn of(&self, block: usize) -> Cel0 {
        Cel0 { squares: self.0[block] }
    }
}

/// A penalty of a number, of every number of a block.
#[derive(Clone, Copy, Debug)]
pub struct Separable<'a, P> {
    /// Of a number.
    pub penalty: P,
    /// By block.
    pub lambda: Weighted<'a>,
    /// Whether numbers must not be negative.
    pub positive: bool,
}

impl<P: OfBlock> BlockPenalty for Separable<'_, P> {
    const IS_CONVEX: bool = P::Scalar::IS_CONVEX;

    fn is_positive(&self) -> bool {
        self.positive
    }

    fn value(&self, block: usize, w: &[f64]) -> f64 {
        let (lambda, penalty) = (self.lambda.of(block), self.penalty.of(block));
        w.iter().filter(|w| **w != 0.0).map(|w| penalty.value(lambda, *w)).sum()
    }

    fn prox(&self, block: usize, u: &mut [f64], t: f64) {
        let (lambda, penalty) = (self.lambda.of(block), self.penalty.of(block));
        positive_part(u, self.positive);
        u.iter_mut().for_each(|u| *u = penalty.prox(lambda, *u, t));
    }

    fn share(&self, block: usize, h: &[f64]) -> f64 {
        let lambda = self.lambda.of(block);
        let excess = |h: &f64| if self.positive { *h } else { h.abs() };
        let largest = h.iter().map(excess).fold(0.0, f64::max);
        if largest > lambda { lambda / largest } else { 1.0 }
    }

    fn slack(&self, block: usize, h: &[f64]) -> f64 {
        let excess = |h: &f64| if self.positive { *h } else { h.abs() };
        self.lambda.of(block) - h.iter().map(excess).fold(0.0, f64::max)
    }

    fn scaled(&self, factor: f64) -> Self {
        Separable { lambda: self.lambda.scaled(factor), ..*self }
    }

    fn excludes(&self, block: usize) -> bool {
        self.lambda.of(block) == f64::INFINITY
    }

    fn is_free(&self, block: usize) -> bool {
        self.lambda.of(block) == 0.0
    }
}

/// The norm of a block.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// By block.
    pub lambda: Weighted<'a>,
    /// Whether numbers must not be negative.
    pub positive: bool,
}

/// Multiplies u by `(1 - threshold / |u|)_+`.
fn shrink_norm(u: &mut [f64], threshold: f64) {
    let size = norm(u, false);
    let factor = if size > threshold { 1.0 - threshold / size } else { 0.0 };
    u.iter_mut().for_each(|u| *u *= factor);
}

impl BlockPenalty for Group<'_> {
    const IS_CONVEX: bool = true;

    fn is_positive(&self) -> bool {
        self.positive
    }

    fn value(&self, block: usize, w: &[f64]) -> f64 {
        let size = norm(w, false);
        if size == 0.0 { 0.0 } else { self.lambda.of(block) * size }
    }

    fn prox(&self, block: usize, u: &mut [f64], t: f64) {
        positive_part(u, self.positive);
        shrink_norm(u, t * self.lambda.of(block));
    }

    fn share(&self, block: usize, h: &[f64]) -> f64 {
        let (lambda, size) = (self.lambda.of(block), norm(h, self.positive));
        if size > lambda { lambda / size } else { 1.0 }
    }

    fn slack(&self, block: usize, h: &[f64]) -> f64 {
        self.lambda.of(block) - norm(h, self.positive)
    }

    fn scaled(&self, factor: f64) -> Self {
        Group { lambda: self.lambda.scaled(factor), ..*self }
    }

    fn excludes(&self, block: usize) -> bool {
        self.lambda.of(block) == f64::INFINITY
    }

    fn is_free(&self, block: usize) -> bool {
        self.lambda.of(block) == 0.0
    }

    fn norms(&self, block: usize) -> Option<(f64, f64)> {
        Some((self.lambda.of(block), 0.0))
    }
}

/// The norm of a block and its L1 norm.
#[derive(Clone, Copy, Debug)]
pub struct SparseGroup<'a> {
    /// Of the norms, by block.
    pub group: Weighted<'a>,
    /// Of the L1 norm.
    pub lambda: f64,
    /// Whether numbers must not be negative.
    pub positive: bool,
}

impl SparseGroup<'_> {
    /// `|soft(s h, lambda)| - lambda_g`: a subgradient at 0 has at most 0.
    fn excess(&self, block: usize, h: &[f64], s: f64) -> f64 {
        let soft = |h: &f64| {
            let size = if self.positive { *h } else { h.abs() };
            (s * size - self.lambda).max(0.0).powi(2)
        };
        h.iter().map(soft).sum::<f64>().sqrt() - self.group.of(block)
    }
}

impl BlockPenalty for SparseGroup<'_> {
    const IS_CONVEX: bool = true;

    fn is_positive(&self) -> bool {
        self.positive
    }

    fn value(&self, block: usize, w: &[f64]) -> f64 {
        let size = norm(w, false);
        let l1 = self.lambda * w.iter().map(|w| w.abs()).sum::<f64>();
        if size == 0.0 { 0.0 } else { self.group.of(block) * size + l1 }
    }

    /// The operator of the L1 norm, then that of the norm: see Simon et al.
    fn prox(&self, block: usize, u: &mut [f64], t: f64) {
        positive_part(u, self.positive);
        u.iter_mut().for_each(|u| *u = L1.prox(self.lambda, *u, t));
        shrink_norm(u, t * self.group.of(block));
    }

    /// The excess grows with s: its root, by bisection, from below.
    fn share(&self, block: usize, h: &[f64]) -> f64 {
        if self.excess(block, h, 1.0) <= 0.0 {
            return 1.0;
        }
        let (mut low, mut high) = (0.0, 1.0);
        while high - low > f64::EPSILON * high {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if self.excess(block, h, middle) <= 0.0 { low = middle } else { high = middle }
        }
        low
    }

    fn slack(&self, block: usize, h: &[f64]) -> f64 {
        -self.excess(block, h, 1.0)
    }

    fn scaled(&self, factor: f64) -> Self {
        SparseGroup { group: self.group.scaled(factor), lambda: factor * self.lambda, ..*self }
    }

    fn excludes(&self, block: usize) -> bool {
        self.group.of(block) == f64::INFINITY
    }

    fn is_free(&self, block: usize) -> bool {
        self.group.of(block) == 0.0 && self.lambda == 0.0
    }

    fn norms(&self, block: usize) -> Option<(f64, f64)> {
        Some((self.group.of(block), self.lambda))
    }
}
