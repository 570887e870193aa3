//! The first pass of the two-pass softmax of arXiv 2001.04438: `sum_j e^(x_j)` without knowing the
//! maximum first.
//!
//! Every lane holds a running pair `(v, E)`, standing for `v 2^E`. Eight registers at a time become
//! pairs `(m, n)` with `e^x = m 2^n`; `E` rises to the largest `n`, and all is added at that scale,
//! so that no factor is ever above 1.
//!
//! What we changed: `v` is a [`crate::tally`], where the published kernel adds up float32 lanes and
//! loses accuracy in long rows, and it is rescaled only when `E` rises, which is seldom; `-inf`
//! counts as a number too low to matter, where the published kernel gives NaN; the maximum is found
//! on the way, so that the caller sees when values were beyond [`crate::frame::Framed::LIMIT`] and
//! the pairs are not to be used (the published kernel then gives garbage, negative probabilities
//! included).

use crate::dispatch::kernel;
use crate::exp::Float;
use crate::lanes::{Simd, Vector};
use crate::softmax::Softmax;
use crate::tally::{CAPACITY, GROUP, Sum, Tallied, Tally};

/// What the pass has found.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<T> {
    /// The largest value; NaN is passed over.
    pub max: T,
    /// `sum 2^exponent` is the sum of the exponentials, if `max` is within the limit.
    pub exponent: f64,
    /// See there; NaN if a value is NaN.
    pub sum: Sum,
}

/// The registers of the pass.
struct Lanes<S: Simd, T: Tallied> {
    most: T::Vector<S>,
    /// The exponents, plus `Float::MAGIC`.
    exponent: T::Vector<S>,
    tally: Tally<S>,
    /// Terms since the tally was settled.
    terms: usize,
}

impl<S: Simd, T: Tallied> Lanes<S, T> {
    #[inline(always)]
    fn new() -> Self {
        let low = T::Vector::<S>::splat(Self::low());
        Lanes {
            most: T::Vector::<S>::splat(T::narrow(f64::NEG_INFINITY)),
            exponent: Float::reduce(low).0,
            tally: T::tally(),
            terms: 0,
        }
    }

    #[inline(always)]
    fn low() -> T {
        T::narrow(-T::REACH.wide())
    }

    #[inline(always)]
    fn add<const N: usize>(&mut self, x: [T::Vector<S>; N]) {
        let low = T::Vector::<S>::splat(Self::low());
        let mut pairs = [(low, low, low); N];
        let mut exponent = self.exponent;
        for q in 0..N {
            self.most = x[q].max(self.most);
            pairs[q] = Float::reduce(low.max(x[q]));
            exponent = pairs[q].0.max(exponent);
        }
        if exponent.mask_gt(self.exponent) != 0 {
            T::times(&mut self.tally, self.exponent.sub(exponent).power_of_two());
            self.exponent = exponent;
            self.terms = 0;
        }
        if self.terms + N > CAPACITY {
            T::settle(&mut self.tally);
            self.terms = 0;
        }
        self.terms += N;
        let base = exponent.sub(T::Vector::<S>::splat(T::narrow(T::HEADROOM)));
        for (j, r, s) in pairs {
            T::add(&mut self.tally, s.exponential_down(r, j.sub(base)));
        }
    }
}

#[inline(always)]
fn pairs<S: Simd, T: Tallied>(x: &[T]) -> Pairs<T> {
    let lanes = T::Vector::<S>::LANES;
    let lowest = T::narrow(f64::NEG_INFINITY);
    let mut state = Lanes::<S, T>::new();
    let mut groups = x.chunks_exact(GROUP * lanes);
    for group in &mut groups {
        let mut registers = [T::Vector::<S>::splat(lowest); GROUP];
        for q in 0..GROUP {
            registers[q] = T::Vector::<S>::load(&group[q * lanes..]);
        }
        state.add(registers);
    }
    let mut rest = groups.remainder().chunks_exact(lanes);
    for register in &mut rest {
        state.add([T::Vector::<S>::load(register)]);
    }
    state.add([T::Vector::<S>::load_tail(rest.remainder(), lowest)]);

    let max = state.most.largest();
    let most = state.exponent.largest();
    let down = state.exponent.sub(T::Vector::<S>::splat(most));
    T::times(&mut state.tally, down.power_of_two());
    let sum = T::total(state.tally).times((-T::HEADROOM).exp2());
    Pairs { max, exponent: most.wide() - T::MAGIC.wide(), sum }
}

/// The pass, for f32 and f64.
pub trait ExtExp: Softmax {
    /// The sum of the exponentials as a pair.
    fn pairs(x: &[Self]) -> Pairs<Self>;
}

macro_rules! ext_exp {
    ($float:ident, $module:ident) => {
        /// The kernel for one type.
        mod $module {
            use super::*;

            kernel! {
                /// See [`ExtExp::pairs`].
                pub fn ext_exp<'a, S>(x: &'a [$float]) -> Pairs<$float> {
                    pairs::<S, $float>(x)
                }
            }
        }
        impl ExtExp for $float {
            fn pairs(x: &[$float]) -> Pairs<$float> {
                $module::ext_exp(x)
            }
        }
    };
}
ext_exp!(f32, single);
ext_exp!(f64, double);
