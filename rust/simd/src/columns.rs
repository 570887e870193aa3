//! The passes of many softmaxes at once, side by side in memory: the reduced axis is not the last.
//!
//! A [`Tile`] is `rows x width` values with contiguous rows; each of its columns is (a part of) one
//! softmax. Lanes are columns, so that nothing is transposed; eight rows at a time are done for each
//! register of columns.

use std::marker::PhantomData;

use crate::dispatch::kernel;
use crate::exp::Float;
use crate::frame::{Frame, Framed, Reference, frame_values};
use crate::lanes::{Simd, Vector};
use crate::softmax::{Factor, times};
use crate::tally::{CAPACITY, GROUP, Sum, Tallied};

/// The most columns of a tile.
pub const WIDTH: usize = 128;

/// No level has registers with fewer lanes.
const FEWEST_LANES: usize = 4;

/// Values to read and values to write, which may be the same; positions are read before they are
/// written.
pub struct Tile<'a, T> {
    source: *const T,
    target: *mut T,
    rows: usize,
    width: usize,
    source_stride: isize,
    target_stride: isize,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for a `&[T]` and a `&mut [T]`, or for one `&mut [T]`.
unsafe impl<T: Send + Sync> Send for Tile<'_, T> {}

impl<'a, T> Tile<'a, T> {
    /// From pointers to the first value, and the steps from row to row.
    ///
    /// # Safety
    /// All the values live for `'a`; nobody else writes to them, nor reads what is written. What is
    /// read and what is written are the same, in the same order, or do not overlap.
    pub unsafe fn from_raw(
        (source, source_stride): (*const T, isize),
        (target, target_stride): (*mut T, isize),
        rows: usize,
        width: usize,
    ) -> Tile<'a, T> {
        assert!(width <= WIDTH);
        Tile { source, target, rows, width, source_stride, target_stride, memory: PhantomData }
    }

    /// The values written, to be read and written again.
    pub fn into_written(self) -> Tile<'a, T> {
        Tile { source: self.target.cast_const(), source_stride: self.target_stride, ..self }
    }

    /// `width` columns of a matrix held by rows, in place.
    pub fn in_place(x: &'a mut [T], width: usize) -> Tile<'a, T> {
        let rows = x.len() / width.max(1);
        let (target, stride) = (x.as_mut_ptr(), width as isize);
        // SAFETY: the rows lie within `x`.
        unsafe { Tile::from_raw((target, stride), (target, stride), rows, width) }
    }

    /// How many columns there are.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Value `(i, j)`.
    pub fn get(&self, i: usize, j: usize) -> T
    where
        T: Copy,
    {
        assert!(i < self.rows && j < self.width);
        // SAFETY: within the tile.
        unsafe { *self.source.offset(i as isize * self.source_stride).add(j) }
    }

    /// Writes `x` all down column `j`.
    pub fn fill(&mut self, j: usize, x: T)
    where
        T: Copy,
    {
        assert!(j < self.width);
        for i in 0..self.rows as isize {
            // SAFETY: within the tile.
            unsafe { *self.target.offset(i * self.target_stride).add(j) = x };
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[inline(always)]
    fn source(&self, i: usize) -> &[T] {
        debug_assert!(i < self.rows);
        // SAFETY: row `i` of the tile.
        unsafe {
            let start = self.source.offset(i as isize * self.source_stride);
            std::slice::from_raw_parts(start, self.width)
        }
    }

    #[inline(always)]
    fn load<V: Vector<Elem = T>>(&self, i: usize, j: usize, fill: T) -> V {
        let row = &self.source(i)[j..];
        if row.len() >= V::LANES { V::load(row) } else { V::load_tail(row, fill) }
    }

    #[inline(always)]
    fn store<V: Vector<Elem = T>>(&self, i: usize, j: usize, v: V, zero: T) {
        debug_assert!(i < self.rows);
        // SAFETY: row `i` of the tile; nothing else borrows it now.
        let row = unsafe {
            let start = self.target.offset(i as isize * self.target_stride);
            std::slice::from_raw_parts_mut(start.add(j), self.width - j)
        };
        if row.len() >= V::LANES { v.store(row) } else { v.store_tail(row, zero) }
    }
}

/// One value for each column.
pub type PerColumn<T> = [T; WIDTH];

/// `(shift, low, offset)` of a frame for each column.
struct Frames<T>([PerColumn<T>; 3]);

impl<T: Framed> Frames<T> {
    #[inline(always)]
    fn new<V: Vector<Elem = T>>(references: &[Reference]) -> Frames<T> {
        let mut frames = Frames([[T::narrow(0.0); WIDTH]; 3]);
        for (j, reference) in references.iter().enumerate() {
            for (values, value) in frames.0.iter_mut().zip(frame_values::<V>(*reference)) {
                values[j] = value;
            }
        }
        frames
    }

    #[inline(always)]
    fn load<V: Vector<Elem = T>>(&self, j: usize) -> Frame<V> {
        let [shift, low, offset] = &self.0;
        let [shift, low, offset] = [shift, low, offset].map(|values| V::load(&values[j..]));
        Frame { shift, low, offset }
    }
}

#[inline(always)]
fn column_max<S: Simd, T: Float + Framed, const COPY: bool>(tile: &Tile<'_, T>) -> PerColumn<T> {
    let lowest = T::narrow(f64::NEG_INFINITY);
    let mut max = [lowest; WIDTH];
    for i in 0..tile.rows {
        let mut j = 0;
        while j < tile.width {
            let most = T::Vector::<S>::load(&max[j..]);
            let x = tile.load::<T::Vector<S>>(i, j, lowest);
            if COPY {
                tile.store(i, j, x, lowest);
            }
            x.max(most).store(&mut max[j..]);
            j += T::Vector::<S>::LANES;
        }
    }
    max
}

#[inline(always)]
fn column_sums<S: Simd, T: Tallied, const STORE: bool, const BELOW: bool>(
    tile: &Tile<'_, T>,
    references: &[Reference],
    top: Option<&PerColumn<T>>,
    sums: &mut [Sum],
) {
    let lowest = T::narrow(f64::NEG_INFINITY);
    let frames = Frames::new::<T::Vector<S>>(references);
    let lanes = T::Vector::<S>::LANES;
    let mut tallies = [const { None }; WIDTH / FEWEST_LANES];
    for tally in &mut tallies[..tile.width.div_ceil(lanes)] {
        *tally = Some(T::tally::<S>());
    }
    let mut i = 0;
    while i < tile.rows {
        let group = GROUP.min(tile.rows - i);
        for (k, tally) in tallies.iter_mut().flatten().enumerate() {
            let j = k * lanes;
            let frame = frames.load::<T::Vector<S>>(j);
            let top = top.map_or(T::Vector::<S>::splat(lowest), |t| T::Vector::<S>::load(&t[j..]));
            for i in i..i + group {
                let x = tile.load::<T::Vector<S>>(i, j, lowest);
                let e = frame.exp::<true>(x);
                if STORE {
                    tile.store(i, j, e, T::narrow(0.0));
                }
                if BELOW {
                    T::add_any(tally, e.zero_unless_below(x, top));
                } else {
                    T::add(tally, e);
                }
            }
            if (i + group).is_multiple_of(CAPACITY) {
                T::settle(tally);
            }
        }
        i += group;
    }
    for (tally, sums) in tallies.into_iter().flatten().zip(sums.chunks_mut(lanes)) {
        T::lanes(tally, (-T::HEADROOM).exp2(), sums);
    }
}

/// The passes, for f32 and f64.
pub trait Columns: Framed {
    /// The largest value of each column; NaN is passed over.
    fn column_max(tile: &Tile<'_, Self>) -> PerColumn<Self>;
    /// The same, and the values are copied.
    fn column_max_copied(tile: &Tile<'_, Self>) -> PerColumn<Self>;
    /// The sum of each column's exponentials over its reference, of the values below `top` only, if
    /// that is given. With `store`, they are stored as well, all of them, times `2^HEADROOM`.
    fn column_exp_sums(
        tile: &Tile<'_, Self>,
        references: &[Reference],
        top: Option<&PerColumn<Self>>,
        store: bool,
        sums: &mut [Sum],
    );
    /// How many values of each column are below `top`.
    fn column_count_below(tile: &Tile<'_, Self>, top: &PerColumn<Self>) -> PerColumn<Self>;
    /// `y = factor x 2^exponent`, for each column its own factor and exponent.
    fn column_scale(
        tile: &Tile<'_, Self>,
        factor: &[Factor<Self>],
        exponent: Option<&PerColumn<Self>>,
    );
    /// `y = (x - max) - log.high - log.low`, for each column its own.
    fn column_log_shift(tile: &Tile<'_, Self>, max: &PerColumn<Self>, log: &[Factor<Self>]);
}

macro_rules! map_tile {
    ($V:ty, $tile:ident, |$x:ident, $j:ident| $result:expr) => {
        for i in 0..$tile.rows {
            let mut $j = 0;
            while $j < $tile.width {
                let $x = $tile.load::<$V>(i, $j, 0.0);
                $tile.store(i, $j, $result, 0.0);
                $j += <$V>::LANES;
            }
        }
    };
}

macro_rules! columns {
    ($float:ident, $register:ident, $module:ident) => {
        /// The kernels for one type.
        mod $module {
            use super::*;

            kernel! {
                /// See [`Columns::column_max`].
                pub fn max<'a, S>(tile: &'a Tile<'a, $float>) -> PerColumn<$float> {
                    column_max::<S, $float, false>(tile)
                }
            }
            kernel! {
                /// See [`Columns::column_max_copied`].
                pub fn max_copied<'a, S>(tile: &'a Tile<'a, $float>) -> PerColumn<$float> {
                    column_max::<S, $float, true>(tile)
                }
            }
            kernel! {
                /// See [`Columns::column_exp_sums`].
                pub fn exp_sums<'a, S>(
                    tile: &'a Tile<'a, $float>,
                    references: &'a [Reference],
                    top: Option<&'a PerColumn<$float>>,
                    store: bool,
                    sums: &'a mut [Sum],
                ) {
                    match (store, top.is_some()) {
                        (true, true) => column_sums::<S, $float, true, true>(tile, references, top, sums),
                        (true, false) => column_sums::<S, $float, true, false>(tile, references, top, sums),
                        (false, true) => column_sums::<S, $float, false, true>(tile, references, top, sums),
                        (false, false) => column_sums::<S, $float, false, false>(tile, references, top, sums),
                    }
                }
            }
            kernel! {
                /// See [`Columns::column_count_below`].
                pub fn count_below<'a, S>(
                    tile: &'a Tile<'a, $float>,
                    top: &'a PerColumn<$float>,
                ) -> PerColumn<$float> {
                    type V<S> = <$float as Float>::Vector<S>;
                    let mut counts = [0.0; WIDTH];
                    for i in 0..tile.rows {
                        let mut j = 0;
                        while j < tile.width {
                            let x = tile.load::<V<S>>(i, j, $float::INFINITY);
                            let one = V::<S>::splat(1.0).zero_unless_below(x, V::<S>::load(&top[j..]));
                            V::<S>::load(&counts[j..]).add(one).store(&mut counts[j..]);
                            j += V::<S>::LANES;
                        }
                    }
                    counts
                }
            }
            kernel! {
                /// See [`Columns::column_scale`].
                pub fn scale<'a, S>(
                    tile: &'a Tile<'a, $float>,
                    factor: &'a [Factor<$float>],
                    exponent: Option<&'a PerColumn<$float>>,
                ) {
                    type V<S> = <$float as Float>::Vector<S>;
                    let [high, low] = columns_of(factor);
                    macro_rules! scaled {
                        ($x:ident, $j:ident) => {
                            times($x, (V::<S>::load(&high[$j..]), V::<S>::load(&low[$j..])))
                        };
                    }
                    match exponent {
                        None => map_tile!(V<S>, tile, |x, j| scaled!(x, j)),
                        Some(exponent) => {
                            map_tile!(V<S>, tile, |x, j| scaled!(x, j).scale(V::<S>::load(&exponent[j..])));
                        }
                    }
                }
            }
            kernel! {
                /// See [`Columns::column_log_shift`].
                pub fn log_shift<'a, S>(
                    tile: &'a Tile<'a, $float>,
                    max: &'a PerColumn<$float>,
                    log: &'a [Factor<$float>],
                ) {
                    type V<S> = <$float as Float>::Vector<S>;
                    let [high, low] = columns_of(log);
                    map_tile!(V<S>, tile, |x, j| {
                        x.sub(V::<S>::load(&max[j..])).sub(V::<S>::load(&high[j..])).sub(V::<S>::load(&low[j..]))
                    });
                }
            }

            #[inline(always)]
            fn columns_of(factor: &[Factor<$float>]) -> [PerColumn<$float>; 2] {
                let mut columns = [[0.0; WIDTH]; 2];
                for (j, factor) in factor.iter().enumerate() {
                    columns[0][j] = factor.high;
                    columns[1][j] = factor.low;
                }
                columns
            }
        }

        impl Columns for $float {
            fn column_max(tile: &Tile<'_, $float>) -> PerColumn<$float> {
                $module::max(tile)
            }
            fn column_max_copied(tile: &Tile<'_, $float>) -> PerColumn<$float> {
                $module::max_copied(tile)
            }
            fn column_exp_sums(
                tile: &Tile<'_, $float>,
                references: &[Reference],
                top: Option<&PerColumn<$float>>,
                store: bool,
                sums: &mut [Sum],
            ) {
                $module::exp_sums(tile, references, top, store, sums);
            }
            fn column_count_below(
                tile: &Tile<'_, $float>,
                top: &PerColumn<$float>,
            ) -> PerColumn<$float> {
                $module::count_below(tile, top)
            }
            fn column_scale(
                tile: &Tile<'_, $float>,
                factor: &[Factor<$float>],
                exponent: Option<&PerColumn<$float>>,
            ) {
                $module::scale(tile, factor, exponent);
            }
            fn column_log_shift(
                tile: &Tile<'_, $float>,
                max: &PerColumn<$float>,
                log: &[Factor<$float>],
            ) {
                $module::log_shift(tile, max, log);
            }
        }
    };
}
columns!(f32, F32, single);
columns!(f64, F64, double);
