//! Which values coefficients may take: intervals that hold 0, so that a coefficient outside the
//! working set is always where it may be.
//!
//! A condition at 0 asks only about the sides on which there is room ([`Interval::pull`]). A
//! coefficient at an end other than 0 is held there: what pulls it outwards is no violation, but is
//! charged in the dual ([`crate::certificate`]).

/// What a step may leave of an end by rounding, as a share of it.
const ROUNDING: f64 = 1e-12;

/// The values of a coefficient: `lower <= 0 <= upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The least of them,
    pub lower: f64,
    /// and the largest; both may be infinite.
    pub upper: f64,
}

impl Interval {
    /// All numbers.
    pub const ALL: Interval = Interval { lower: f64::NEG_INFINITY, upper: f64::INFINITY };
    /// Those that are not negative.
    pub const NOT_NEGATIVE: Interval = Interval { lower: 0.0, upper: f64::INFINITY };

    /// How much a product h pulls a coefficient to where there is room, seen from 0: what is compared
    /// with lambda. Less than any number if there is none.
    #[inline]
    pub fn pull(self, h: f64) -> f64 {
        let up = if self.upper > 0.0 { h } else { f64::NEG_INFINITY };
        let down = if self.lower < 0.0 { -h } else { f64::NEG_INFINITY };
        up.max(down)
    }

    /// The nearest of the values.
    #[inline]
    pub fn nearest(self, w: f64) -> f64 {
        w.max(self.lower).min(self.upper)
    }

    /// The number if it is one of them, up to rounding.
    pub fn admitted(self, w: f64) -> Option<f64> {
        let nearest = self.nearest(w);
        ((nearest - w).abs() <= ROUNDING * w.abs()).then_some(nearest)
    }

    /// Whether w is an end, and not 0.
    #[inline]
    pub fn holds_at_end(self, w: f64) -> bool {
        w != 0.0 && (w == self.lower || w == self.upper)
    }

    /// The same without the side whose end w is.
    #[inline]
    pub fn open_at(self, w: f64) -> Interval {
        Interval {
            lower: if w == self.lower { 0.0 } else { self.lower },
            upper: if w == self.upper { 0.0 } else { self.upper },
        }
    }

    /// The values of `sign` or 0.
    #[inline]
    pub fn of_sign(self, sign: f64) -> Interval {
        if sign > 0.0 { Interval { lower: 0.0, ..self } } else { Interval { upper: 0.0, ..self } }
    }
}

/// The intervals of all coefficients.
#[derive(Clone, Copy, Debug)]
pub enum Bounds<'a> {
    /// All alike.
    Same(Interval),
    /// One for each column.
    Each(&'a [Interval]),
}

impl Bounds<'_> {
    /// None, or those of coefficients that must not be negative.
    pub fn of_sign(positive: bool) -> Bounds<'static> {
        Bounds::Same(if positive { Interval::NOT_NEGATIVE } else { Interval::ALL })
    }

    /// The interval of a column.
    #[inline]
    pub fn of(&self, j: u32) -> Interval {
        match self {
            Bounds::Same(interval) => *interval,
            Bounds::Each(intervals) => intervals[j as usize],
        }
    }
}

/// The coefficients at an end other than 0, ascending by their columns.
pub struct Held(Vec<(u32, f64)>);

impl Held {
    /// Those among these columns and coefficients.
    pub fn among(bounds: Bounds<'_>, coefficients: impl Iterator<Item = (u32, f64)>) -> Held {
        let is_held = |(j, w): &(u32, f64)| bounds.of(*j).holds_at_end(*w);
        let mut held: Vec<(u32, f64)> = coefficients.filter(is_held).collect();
        held.sort_unstable_by_key(|(j, _)| *j);
        Held(held)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Columns and coefficients.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f64)> {
        self.0.iter().copied()
    }

    /// The interval of a column, without the side whose end its coefficient is.
    #[inline]
    pub fn open(&self, j: u32, interval: Interval) -> Interval {
        if self.0.is_empty() {
            return interval;
        }
        match self.0.binary_search_by_key(&j, |(j, _)| *j) {
            Ok(place) => interval.open_at(self.0[place].1),
            Err(_) => interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sides_with_room_pull() {
        let box_of = |lower, upper| Interval { lower, upper };
        assert_eq!(Interval::ALL.pull(-2.0), 2.0);
        assert_eq!(Interval::NOT_NEGATIVE.pull(-2.0), -2.0);
        assert_eq!(box_of(-1.0, 0.0).pull(-2.0), 2.0);
        assert_eq!(box_of(0.0, 0.0).pull(-2.0), f64::NEG_INFINITY);
        assert_eq!(box_of(-1.0, 3.0).open_at(3.0).pull(2.0), -2.0);
    }

    #[test]
    fn rounding_is_taken_back_and_no_more() {
        let interval = Interval { lower: -1.0, upper: 0.1 };
        assert_eq!(interval.admitted(0.1 + 1e-16), Some(0.1));
        assert_eq!(interval.admitted(0.1 + 1e-9), None);
        assert_eq!(interval.admitted(-0.5), Some(-0.5));
    }

    #[test]
    fn held_columns_are_found() {
        let intervals = [Interval { lower: -1.0, upper: 2.0 }; 5];
        let pairs = [(4, 2.0), (2, 0.5), (1, -1.0), (0, 0.0)];
        let held = Held::among(Bounds::Each(&intervals), pairs.into_iter());
        assert_eq!(held.iter().collect::<Vec<_>>(), [(1, -1.0), (4, 2.0)]);
        assert_eq!(held.open(4, intervals[4]), Interval { lower: -1.0, upper: 0.0 });
        assert_eq!(held.open(2, intervals[2]), intervals[2]);
    }
}
