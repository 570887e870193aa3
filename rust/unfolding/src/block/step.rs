//! A signal of a block, and its steps.

use sparrot_foundation::Scalar;
use sparrot_simd::codes::Step;
use sparrot_simd::sparse_rows::Codes;

use crate::batch::{Momentum, Settings, Steps};
use crate::number::Number;
use crate::penalty::{Operator, Weighted};

/// A signal that is being worked on.
pub struct Signal<T> {
    pub index: usize,
    pub operator: Operator<T>,
    /// `|y|^2`.
    pub squares: f64,
    /// `|A'y|`.
    pub pull: f64,
    /// An objective above this is of iterates that grow without bound.
    pub limit: f64,
    /// The number from which the momentum follows,
    pub theta: f64,
    /// and the momentum of the last step.
    pub momentum: f64,
    /// The length of the last move, and of the one before.
    pub moves: [f64; 2],
    /// theta and the lengths before the last step, which may have to be done again.
    pub before: (f64, [f64; 2]),
    /// The length of the step before, if it is found by backtracking.
    pub size_before: f64,
    /// Steps above this could overflow.
    pub longest: f64,
    /// Whether a step was too long;
    pub was_refused: bool,
    /// whether the next one is to be twice as long.
    pub grows: bool,
    /// Not before this iteration is the certificate measured again.
    pub next_look: usize,
}

/// x and g of a signal, and those of the step before: `old` becomes the new x.
pub struct Lines<'a, T> {
    pub x: &'a [T],
    pub g: &'a [T],
    pub old: &'a mut [T],
    pub g_old: &'a [T],
}

impl<T: Number> Signal<T> {
    /// Before its first step, with `|y|^2` and `|A'y|`.
    pub fn new(
        settings: &Settings<'_>,
        index: usize,
        squares: f64,
        pull: f64,
        step: f64,
    ) -> Signal<T> {
        // Between these moves neither overflow nor vanish.
        let longest = T::MOST_SQUARES / pull.max(settings.penalty.lambda).max(1.0);
        let shortest = if pull > 0.0 { T::LEAST_SQUARES.sqrt() / pull } else { 0.0 };
        let step = match settings.steps {
            Steps::Backtracking(_) => step.max(shortest).min(longest),
            Steps::Fixed(_) | Steps::Adaptive => step,
        };
        Signal {
            index,
            operator: settings.penalty.operator(step),
            squares,
            pull,
            limit: 0.0,
            theta: 1.0,
            momentum: 0.0,
            moves: [f64::INFINITY; 2],
            before: (1.0, [f64::INFINITY; 2]),
            size_before: step,
            longest,
            was_refused: false,
            grows: false,
            next_look: 0,
        }
    }

    /// Whether no step moves it any more: with momentum left, the next one could.
    pub fn stands(&self) -> bool {
        self.moves == [0.0; 2] || self.moves[0] == 0.0 && self.theta == 1.0
    }

    /// Remembers what a step that is done again starts from.
    pub fn begin(&mut self, penalty: &Weighted<'_>) {
        self.before = (self.theta, self.moves);
        self.size_before = self.operator.size;
        if self.grows {
            self.grows = false;
            self.operator = penalty.operator((2.0 * self.operator.size).min(self.longest));
        }
    }

    /// The k-th step; what is not 0 of the new x is appended to the codes.
    pub fn step(
        &mut self,
        settings: &Settings<'_>,
        k: usize,
        lines: Lines<'_, T>,
        codes: &mut Codes<T>,
    ) {
        let measure =
            settings.tol > 0.0 || settings.is_watched || settings.momentum == Momentum::Restarted;
        self.momentum = 0.0;
        if settings.momentum != Momentum::None {
            // With steps of different lengths as in Scheinberg, Goldfarb and Bai (Found. Comput. Math.
            // 14, 2014, FISTA-BKTR); where it starts there is no step before.
            let is_start = self.theta == 1.0;
            let ratio = if is_start { 1.0 } else { self.size_before / self.operator.size };
            let next = 0.5 * (1.0 + (1.0 + 4.0 * self.theta * self.theta * ratio).sqrt());
            self.momentum = (self.theta - 1.0) / next;
            self.theta = next;
        }
        let step = Step {
            size: T::from_f64(self.operator.size),
            momentum: T::from_f64(self.momentum),
            measure: measure && self.operator.is_whole,
        };
        let Lines { x, g, old, g_old } = lines;
        let mut z: Vec<T> = vec![];
        if measure && !self.operator.is_whole {
            let momentum = self.momentum;
            let ahead = |(x, old): (&T, &T)| {
                T::from_f64(x.to_f64() + momentum * (x.to_f64() - old.to_f64()))
            };
            z = x.iter().zip(old.iter()).map(ahead).collect();
        }
        let mut sums = T::step(step, self.operator.shrinkage, x, g, old, g_old, codes);
        if !self.operator.is_whole {
            settings.penalty.finish(self.operator.size, codes, old);
            sums = measured(x, old, &z);
        }
        if settings.momentum == Momentum::Restarted && sums[1] > 0.0 && k > 1 {
            self.theta = 1.0;
        }
        self.moves = [sums[0].sqrt(), self.moves[0]];
    }
}

/// What a move tells about the curvature along it.
pub struct Move {
    /// The squared length of x,
    pub size: f64,
    /// and of the move.
    pub squares: f64,
    /// The move times the change of the gradient.
    pub curved: f64,
}

impl Move {
    /// To x with the gradient g from a point and its gradient.
    pub fn between<T: Scalar>(x: &[T], g: &[T], from: impl Fn(usize) -> [f64; 2]) -> Move {
        let mut sums = Move { size: 0.0, squares: 0.0, curved: 0.0 };
        for (j, (x, g)) in x.iter().zip(g).enumerate() {
            let (x, [x_from, g_from]) = (x.to_f64(), from(j));
            sums.size += x * x;
            sums.squares += (x - x_from) * (x - x_from);
            sums.curved += (x - x_from) * (g.to_f64() - g_from);
        }
        sums
    }
}

/// As the vectorised step measures it.
fn measured<T: Scalar>(x: &[T], new: &[T], z: &[T]) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for ((x, new), z) in x.iter().zip(new).zip(z) {
        let (moved, back) = (new.to_f64() - x.to_f64(), z.to_f64() - new.to_f64());
        sums[0] += moved * moved;
        sums[1] += moved * back;
    }
    sums
}
