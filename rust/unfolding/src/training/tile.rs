//! A few signals through all layers and back.
//!
//! Of each layer the non-zeros of its output are kept, those of all signals one after the other.

use sparrot_foundation::{Error, memory};
use sparrot_simd::codes::{Selected, Turn};
use sparrot_simd::sparse_rows::SparseRows;

use crate::dictionary::Dictionary;
use crate::matrix::{GramProduct, Matrix};
use crate::number::Number;
use crate::training::gradient::Sums;
use crate::training::{Loss, Network, Shrinkage};

/// Signals of a tile, at most: as much is made of each look at the Gram matrix as of twice as many, about.
pub const TILE: usize = 32;
/// And at least, where there are as many: with fewer, threads wait for the matrix.
const LEAST: usize = 16;
/// Tiles of a batch, if they can have that many signals: work for a few threads.
const TILES: usize = 8;
/// The rounding of sums of products, in units of that of one.
const ROUNDING: f64 = 64.0;
/// Numbers in a register, at most.
const REGISTER: usize = 16;

/// The signals of each tile of a batch: equal shares, and an even number of them, which two threads end
/// at the same time.
pub fn share(batch: usize) -> usize {
    let tiles = batch.div_ceil(batch.div_ceil(TILES).clamp(LEAST, TILE));
    batch.div_ceil(if tiles > 1 { tiles.next_multiple_of(2) } else { 1 }).max(1)
}

/// A sum of squares without its rounding; NaN stays.
fn at_least_0(squares: f64) -> f64 {
    if squares < 0.0 { 0.0 } else { squares }
}

/// The non-zeros of a layer's output.
#[derive(Debug)]
struct Layer<T> {
    starts: Vec<usize>,
    positions: Vec<u32>,
    values: Vec<T>,
    /// The gradient of the squares there, before the layer.
    slopes: Vec<T>,
    by_value: Vec<T>,
    by_threshold: Vec<T>,
}

impl<T: Number> Layer<T> {
    fn new(size: usize, columns: usize) -> Result<Layer<T>, Error> {
        // A register more than there can be: they are written whole.
        let room = || memory::zeros("the non-zeros of a layer", size + 1, columns.max(REGISTER));
        Ok(Layer {
            starts: vec![0; size + 1],
            positions: vec![0; (size + 1) * columns.max(REGISTER)],
            values: room()?,
            slopes: room()?,
            by_value: room()?,
            by_threshold: room()?,
        })
    }

    fn rows(&self, signals: usize) -> SparseRows<'_, T> {
        let starts = &self.starts[..=signals];
        SparseRows { starts, positions: &self.positions, values: &self.values }
    }

    /// The entries of a signal.
    fn entries(&self, signal: usize) -> std::ops::Range<usize> {
        self.starts[signal]..self.starts[signal + 1]
    }

    /// Writes those of a signal into its row.
    fn write(&self, signal: usize, row: &mut [T]) {
        let range = self.entries(signal);
        let entries = self.positions[range.clone()].iter().zip(&self.values[range]);
        entries.for_each(|(j, x)| row[*j as usize] = *x);
    }

    /// Reads a row at those of a signal.
    fn read(&self, signal: usize, row: &[T], out: &mut [T]) {
        let range = self.entries(signal);
        let entries = self.positions[range.clone()].iter().zip(&mut out[range]);
        entries.for_each(|(j, x)| *x = row[*j as usize]);
    }
}

/// What a product is added to.
#[derive(Clone, Copy)]
enum Base {
    /// `-A'y`.
    Signals,
    /// The dense rows.
    Values,
}

/// The room that a tile needs.
#[derive(Debug)]
pub struct Tile<T> {
    columns: usize,
    /// How many of its signals are in use.
    signals: usize,
    /// `-A'y`.
    pub base: Vec<T>,
    correlations: Vec<T>,
    /// The output of the last layer on the way there, `s` on the way back; else 0.
    dense: Vec<T>,
    layers: Vec<Layer<T>>,
    /// Between products with the two factors of the Gram matrix.
    inner: Vec<T>,
    /// Where the network's output is.
    last: usize,
    /// `g` at the non-zeros of the layer under way.
    upstream: Vec<T>,
}

impl<T: Number> Tile<T> {
    /// Of at most so many signals, with room for the non-zeros of so many layers; two are enough for the
    /// way there.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(size: usize, dictionary: &Matrix<'_, T>, layers: usize) -> Result<Tile<T>, Error> {
        let columns = dictionary.atoms();
        let room = || memory::zeros("a tile of signals", size, columns);
        Ok(Tile {
            columns,
            signals: 0,
            base: room()?,
            correlations: room()?,
            dense: room()?,
            layers: (0..layers).map(|_| Layer::new(size, columns)).collect::<Result<_, _>>()?,
            inner: vec![],
            last: 0,
            upstream: room()?,
        })
    }

    /// Through the first layers, from [`Self::base`]; whether all numbers on the way were finite.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn forward(
        &mut self,
        signals: usize,
        dictionary: &Matrix<'_, T>,
        network: &Network,
        depth: usize,
        shrinkage: Shrinkage,
    ) -> Result<bool, Error> {
        let n = self.columns;
        self.signals = signals;
        let mut finite = true;
        for t in 0..depth {
            let (step, alpha) = network.layer(t);
            let threshold = shrinkage.threshold(step, alpha);
            let cut = T::from_f64(shrinkage.cut(threshold));
            if t == 0 {
                self.correlations[..signals * n].copy_from_slice(&self.base[..signals * n]);
            } else {
                self.last = (t - 1) % self.layers.len();
                self.correlate(dictionary)?;
            }
            let this = t % self.layers.len();
            let layer = &mut self.layers[this];
            let mut end = 0;
            for i in 0..signals {
                let (x, c) = (&self.dense[i * n..][..n], &self.correlations[i * n..][..n]);
                let found = Selected {
                    positions: &mut layer.positions[end..],
                    values: &mut layer.values[end..],
                    slopes: &mut layer.slopes[end..],
                };
                let (count, all_finite) = T::select(x, c, T::from_f64(step), cut, found);
                finite &= all_finite;
                end += count;
                layer.starts[i + 1] = end;
            }
            shrinkage.apply(
                threshold,
                &mut layer.values[..end],
                &mut layer.by_value[..end],
                &mut layer.by_threshold[..end],
            );
            if t > 0 {
                self.clear();
            }
            self.spread(this);
            self.last = this;
        }
        Ok(finite)
    }

    /// `A'(A x - y)` of the network's output.
    fn correlate(&mut self, dictionary: &Matrix<'_, T>) -> Result<(), Error> {
        self.multiply(dictionary, self.last, T::ONE, Base::Signals)
    }

    /// The values of a layer, which are also in the dense rows, times the Gram matrix, scaled and added
    /// to the base: into the correlations.
    fn multiply(
        &mut self,
        dictionary: &Matrix<'_, T>,
        layer: usize,
        scale: T,
        base: Base,
    ) -> Result<(), Error> {
        let layer = &self.layers[layer];
        let used = ..self.signals * self.columns;
        let base = match base {
            Base::Signals => &self.base,
            Base::Values => &self.dense,
        };
        let product = GramProduct {
            sparse: layer.rows(self.signals),
            dense: &self.dense[used],
            scale,
            base: (&base[used], T::ONE),
        };
        dictionary.multiply(product, &mut self.inner, &mut self.correlations[used])
    }

    /// Writes the values of a layer into the dense rows, which are 0.
    fn spread(&mut self, layer: usize) {
        let layer = &self.layers[layer];
        let rows = self.dense.chunks_mut(self.columns).take(self.signals);
        rows.enumerate().for_each(|(i, row)| layer.write(i, row));
    }

    /// Writes zeros there.
    fn clear(&mut self) {
        self.dense[..self.signals * self.columns].fill(T::ZERO);
    }

    /// The network's output, into rows of zeros; the tile is ready for other signals.
    pub fn take_codes(&mut self, atoms: usize, out: &mut [T]) {
        self.clear();
        let layer = &self.layers[self.last];
        out.chunks_mut(atoms).enumerate().for_each(|(i, row)| layer.write(i, row));
    }

    /// Of how many signals the network's output leaves more of a residual than the code 0 would:
    /// `|y - A x|^2 > |y|^2`, by more than rounding.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn count_worse_than_zero(&mut self, dictionary: &Matrix<'_, T>) -> Result<usize, Error> {
        self.correlate(dictionary)?;
        let (n, layer) = (self.columns, &self.layers[self.last]);
        let is_worse = |i: &usize| {
            let row = i * n..(i + 1) * n;
            let (c, base) = (&self.correlations[row.clone()], &self.base[row]);
            let (mut more, mut size) = (0.0, 0.0);
            for k in layer.entries(*i) {
                let (x, j) = (layer.values[k].to_f64(), layer.positions[k] as usize);
                // |y - A x|^2 - |y|^2 = x'(A'(A x - y) - A'y)
                more += x * (c[j].to_f64() + base[j].to_f64());
                size += x.abs() * (c[j].to_f64().abs() + base[j].to_f64().abs());
            }
            more > ROUNDING * T::EPSILON * size
        };
        Ok((0..self.signals).filter(is_worse).count())
    }

    /// The loss of what [`Self::forward`] found; its derivatives by the output become the start of the
    /// way back. `truth` has the signal's true code, `squares` its norm, or that of the signal.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn loss<'a>(
        &mut self,
        loss: Loss,
        dictionary: &Matrix<'_, T>,
        truth: impl Fn(usize) -> &'a [T],
        squares: impl Fn(usize) -> f64,
        sums: &mut Sums,
    ) -> Result<(), Error> {
        if loss != Loss::Supervised {
            self.correlate(dictionary)?;
        }
        self.clear();
        let (n, atoms) = (self.columns, dictionary.atoms() as f64);
        let layer = &self.layers[self.last];
        for i in 0..self.signals {
            let mut total = squares(i);
            if loss == Loss::Supervised {
                let truth = truth(i);
                for k in layer.entries(i) {
                    let (x, target) = (layer.values[k], truth[layer.positions[k] as usize]);
                    // |x - x*|^2 less |x*|^2: where x is 0 nothing is added.
                    let (wide, aim) = (x.to_f64(), target.to_f64());
                    total += wide * (wide - 2.0 * aim);
                    self.upstream[k] = T::from_f64(2.0 * (wide - aim) / atoms);
                }
                sums.loss += at_least_0(total) / atoms;
            } else {
                let row = i * n..(i + 1) * n;
                let (c, base) = (&self.correlations[row.clone()], &self.base[row]);
                let mut penalty = 0.0;
                for k in layer.entries(i) {
                    let (x, j) = (layer.values[k].to_f64(), layer.positions[k] as usize);
                    if x == 0.0 {
                        self.upstream[k] = c[j];
                        continue;
                    }
                    // |y - A x|^2 = |y|^2 + x'(A'(A x - y) - A'y)
                    total += x * (c[j].to_f64() + base[j].to_f64());
                    let (value, slope) = loss.penalty(x, dictionary.squares()[j]);
                    penalty += value;
                    self.upstream[k] = T::from_f64(c[j].to_f64() + slope);
                }
                sums.loss += 0.5 * at_least_0(total) + penalty;
            }
        }
        sums.nonzeros += layer.starts[self.signals];
        Ok(())
    }

    /// The gradient, from what [`Self::loss`] left; the network has as many layers as the tile has
    /// room for, or more.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn backward(
        &mut self,
        dictionary: &Matrix<'_, T>,
        network: &Network,
        depth: usize,
        shrinkage: Shrinkage,
        sums: &mut Sums,
    ) -> Result<(), Error> {
        let n = self.columns;
        for t in (0..depth).rev() {
            let (step, alpha) = network.layer(t);
            let share = shrinkage.exponent() * shrinkage.threshold(step, alpha);
            let layer = &mut self.layers[t];
            let end = layer.starts[self.signals];
            let found = T::turn_back(Turn {
                upstream: &self.upstream[..end],
                by_value: &layer.by_value[..end],
                by_threshold: &layer.by_threshold[..end],
                slopes: &layer.slopes[..end],
                values: &mut layer.values[..end],
            });
            let by_threshold = share * found.by_threshold;
            sums.log_steps[t] += by_threshold - step * found.along;
            sums.log_alphas[t] += by_threshold;
            if t == 0 {
                break;
            }
            self.spread(t);
            self.multiply(dictionary, t, T::from_f64(-step), Base::Values)?;
            self.clear();
            let before = &self.layers[t - 1];
            let rows = self.correlations.chunks(n).take(self.signals);
            rows.enumerate().for_each(|(i, row)| before.read(i, row, &mut self.upstream));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_no_sum_of_0() {
        assert!(at_least_0(f64::NAN).is_nan());
        assert_eq!([-1e-17, 0.0, 2.0].map(at_least_0), [0.0, 0.0, 2.0]);
    }
}
