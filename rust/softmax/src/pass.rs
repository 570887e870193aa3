//! The passes over (a part of) a contiguous row, by each method.
//!
//! The first pass finds the [`State`] of the part; the second, once the states of all parts are
//! merged, writes the result. The terms of all methods differ by powers of two only, and so do their
//! sums, to 2^-50 of them (f32) or 2^-70 (f64): results are the same but for a last bit in millions.

use sparrot_simd::extexp::ExtExp;
use sparrot_simd::frame::{Framed, Reference};
use sparrot_simd::level::{self, Level};
use sparrot_simd::row::Row;
use sparrot_simd::softmax::{Factor, Softmax};

use crate::state::{State, power_of_two};

/// A block is read, exponentiated and stored while it is in the first cache.
const BLOCK_BYTES: usize = 8 << 10;

/// Values of a part: a whole number of blocks. A row is cut into parts by its length alone, so that
/// the result does not depend on the number of threads.
pub const PART: usize = 1 << 16;

/// How a softmax goes about its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The paper's: sum pairs, then recompute the exponentials. Reads twice, writes once.
    TwoPass,
    /// Find the maximum, sum, recompute. Reads three times, writes once.
    Recompute,
    /// Find the maximum, sum and store, scale what was stored. Reads three times, writes twice.
    Reload,
    /// By blocks: find the maximum, sum and store; then scale. Reads twice, writes twice.
    Blocked,
}

impl Method {
    /// The fastest for a row of that many values: thresholds measured, see docs/softmax.md. The
    /// number of threads is not asked for, as the last bit of a result must not depend on it.
    pub fn fastest<T: Framed>(len: usize) -> Method {
        let bytes = len.saturating_mul(size_of::<T>());
        if len > block_len::<T>() && bytes <= CACHED_BYTES {
            Method::Reload
        } else if bytes >= STREAMED_BYTES && T::DIGITS < 30.0 && level::active() == Level::Avx512 {
            Method::TwoPass // of single precision: exponentials take less time than the memory
        } else {
            Method::Blocked
        }
    }

    /// Whether the maximum of the whole row must be known before the first pass.
    pub fn needs_max(self) -> bool {
        matches!(self, Method::Recompute | Method::Reload)
    }

    fn stores(self) -> bool {
        matches!(self, Method::Reload | Method::Blocked)
    }
}

/// A row up to this is still in a cache when it is read again.
const CACHED_BYTES: usize = 8 << 20;

/// A row this large is written past the caches, which it would only empty.
const STREAMED_BYTES: usize = 32 << 20;

/// The first pass of `part`, and the references of its blocks, which the second one needs.
///
/// `max` is that of the whole row, for the methods that need it. With `for_log`, the maximum is
/// counted apart, as far as the method knows it.
pub fn first<T: ExtExp>(
    method: Method,
    part: &mut Row<'_, T>,
    max: Option<T>,
    for_log: bool,
    references: &mut Vec<Reference>,
) -> State {
    match (method, max) {
        (Method::TwoPass, _) => {
            let pairs = T::pairs(part.source());
            let max = pairs.max.wide();
            if max.abs() <= T::LIMIT {
                let reference = Reference { shift: 0.0, exponent: pairs.exponent };
                return State::of_all(max, reference, pairs.sum);
            }
            blocks(part, false, for_log, references)
        }
        (_, Some(max)) if max.wide().is_finite() => {
            let reference = Reference::new(max);
            let (sum, _) = if method.stores() {
                T::exp_store_sum(part.part(0, usize::MAX), &[], reference, None)
            } else {
                T::exp_sum(part.source(), &[], reference, None)
            };
            references.push(reference);
            State::of_all(max.wide(), reference, sum)
        }
        _ => blocks(part, method.stores(), for_log, references),
    }
}

/// The first pass for a logarithm: nothing is stored, and the maximum is counted apart.
pub fn first_for_log<T: Softmax>(x: &[T]) -> State {
    blocks(&mut Row::read_only(x), false, true, &mut Vec::new())
}

/// The first pass for a sum: nothing is stored.
pub fn first_for_sum<T: Softmax>(x: &[T]) -> State {
    blocks(&mut Row::read_only(x), false, false, &mut Vec::new())
}

/// The largest value of the row; NaN is passed over.
pub fn max<T: Softmax>(x: &[T]) -> T {
    T::max(x)
}

/// Values of a block.
pub const fn block_len<T>() -> usize {
    BLOCK_BYTES / size_of::<T>()
}

fn blocks<T: Softmax>(
    row: &mut Row<'_, T>,
    store: bool,
    for_log: bool,
    references: &mut Vec<Reference>,
) -> State {
    let mut state = State::EMPTY;
    let mut max = T::max(row.part(0, block_len::<T>()).source());
    for start in (0..row.len()).step_by(block_len::<T>()) {
        let (mut part, next) = row.part_and_next(start, block_len::<T>());
        let (found, next_max) = block(&mut part, next, max, store, for_log);
        references.push(found.reference);
        state = state.merge(found);
        max = next_max;
    }
    state
}

/// The first pass over a block, whose maximum is known; and the maximum of `next`.
pub fn block<T: Softmax>(
    part: &mut Row<'_, T>,
    next: &[T],
    max: T,
    store: bool,
    for_log: bool,
) -> (State, T) {
    if !max.wide().is_finite() {
        let state = irregular(part.source(), max);
        if store {
            part.target().fill(T::narrow(0.0));
        }
        return (state, T::max(next));
    }
    let reference = Reference::new(max);
    let below = (for_log && store).then_some(max);
    let ties = below.map_or(0, |_| T::census(part.source(), max).0);
    let (sum, next_max) = if store {
        T::exp_store_sum(part.part(0, usize::MAX), next, reference, below)
    } else {
        T::exp_sum(part.source(), next, reference, None)
    };
    let top = || T::exp_sum(&[max], &[], reference, None).0.high;
    let found = if below.is_some() {
        State::of_others(max.wide(), reference, sum, ties, top())
    } else if for_log {
        State::split(max.wide(), reference, sum, top).unwrap_or_else(|| {
            let ties = T::census(part.source(), max).0;
            let (sum, _) = T::exp_sum(part.source(), &[], reference, Some(max));
            State::of_others(max.wide(), reference, sum, ties, top())
        })
    } else {
        State::of_all(max.wide(), reference, sum)
    };
    (found, next_max)
}

/// The state of values whose maximum is infinite, of either sign.
fn irregular<T: Softmax>(x: &[T], max: T) -> State {
    let (_, nan) = T::census(x, max);
    let sum = if nan { f64::NAN } else { max.wide().max(0.0) };
    State::irregular(max.wide(), sum)
}

/// The second pass of a softmax: probabilities, of a row whose total is regular.
///
/// `in_all` is the length of the whole row.
pub fn second<T: Softmax>(
    method: Method,
    mut part: Row<'_, T>,
    total: &State,
    references: &[Reference],
    in_all: usize,
) {
    if !method.stores() {
        let (factor, exponent) = total.share(total.reference);
        let factor = scaled(factor, exponent);
        if in_all * size_of::<T>() >= STREAMED_BYTES && !part.is_in_place() {
            return T::exp_scale_streamed(part, total.reference, factor);
        }
        return T::exp_scale(part, total.reference, factor);
    }
    let out = part.target();
    let block = if method == Method::Blocked { block_len::<T>() } else { out.len() };
    let mut previous = None;
    for (block, reference) in out.chunks_mut(block.max(1)).zip(references) {
        let (factor, exponent) = match previous {
            Some((same, share)) if same == *reference => share,
            _ => total.share(*reference),
        };
        previous = Some((*reference, (factor, exponent)));
        if exponent >= nearest::<T>() {
            T::scale(Row::in_place(block), scaled(factor, exponent));
        } else {
            T::scale_far(Row::in_place(block), factor, exponent.max(-2.0 * T::BIAS));
        }
    }
}

/// From this exponent on a factor can be scaled by it, low part and all, and stays normal.
pub fn nearest<T: Framed>() -> f64 {
    if T::BIAS < 1000.0 { -100.0 } else { -960.0 }
}

/// The factor times a power of two for which it stays normal.
pub fn scaled<T: Framed>(factor: Factor<T>, exponent: f64) -> Factor<T> {
    let power = power_of_two(exponent);
    let times = |x: T| T::narrow(x.wide() * power);
    Factor { high: times(factor.high), low: times(factor.low) }
}

/// The second pass of a log-softmax, of a row whose total is regular.
pub fn second_for_log<T: Softmax>(part: Row<'_, T>, total: &State) {
    T::log_shift(part, T::narrow(total.max), split(total.log_rest()));
}

/// A number in two parts.
pub fn split<T: Framed>(x: f64) -> Factor<T> {
    let high = T::narrow(x);
    Factor { high, low: T::narrow(x - high.wide()) }
}
