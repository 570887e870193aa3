//! Cyclic convolutions of real vectors with a fixed one, wanted at some places only.
//!
//! ```text
//! y_p = sum_i g_(p - i mod N) x_i
//! ```
//!
//! By the Fourier transform in four steps (Bailey, "FFTs in external or hierarchical memory", 1990):
//! with N = R C, place `i = r C + c` and frequency `k = k1 + R k2`,
//!
//! ```text
//! X_k = sum_c w_C^(c k2)  w_N^(c k1)  sum_r w_R^(r k1) x_i,        w_L = exp(-2 pi i / L).
//! ```
//!
//! So all transforms have lengths of about the root of N and fit in cache, and an interrupt waits for
//! a few of them at most. As x is real, `k1 <= R / 2` is enough. Of the last step on the way back only
//! the transforms are made that hold a place that is wanted. Vectors are transformed one by one: two in
//! one complex vector would save nothing here, and the rounding of each would be relative to the larger.
//!
//! What we changed: the spectrum stays in the order `(k1, k2)` in which the steps leave it, for products
//! do not ask for another.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};
use sparrot_foundation::{Error, Stop, memory};

type Number = Complex<f64>;

/// Columns c that are transformed together.
const STRIP: usize = 8;

/// Convolutions of one length.
pub struct Cyclic {
    /// N.
    length: usize,
    /// R and C.
    rows: usize,
    columns: usize,
    down: Arc<dyn RealToComplex<f64>>,
    up: Arc<dyn ComplexToReal<f64>>,
    along: Arc<dyn Fft<f64>>,
    back: Arc<dyn Fft<f64>>,
    /// `w_R^h` and `w_N^l`, for `w_N^(h C + l)`.
    high: Vec<Number>,
    low: Vec<Number>,
}

/// Transforms of several vectors: one line for each k1, and in it one vector after the other.
pub struct Spectrum {
    lines: Vec<Vec<Number>>,
    vectors: usize,
}

/// The smallest number without other prime factors than 2, 3 and 5 that is at least `n`; that of
/// `scipy.fft.next_fast_len(n, real=True)`.
pub fn good_length(n: usize) -> usize {
    let mut best = n.next_power_of_two();
    let mut fives = 1;
    while fives < best {
        let mut odd = fives;
        while odd < best {
            best = best.min(odd * n.div_ceil(odd).next_power_of_two());
            odd *= 3;
        }
        fives *= 5;
    }
    best
}

impl Cyclic {
    /// Of a length from [`good_length`].
    pub fn new(length: usize) -> Cyclic {
        let fits = |r: &usize| length.is_multiple_of(*r) && r * r <= length;
        let root = (length as f64).sqrt() as usize + 1;
        let rows = (1..=root).rev().find(fits).unwrap_or(1);
        let columns = length / rows;
        let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
        let root =
            |h: usize, of: usize| Complex::cis(-std::f64::consts::TAU * (h as f64 / of as f64));
        Cyclic {
            length,
            rows,
            columns,
            down: real.plan_fft_forward(rows),
            up: real.plan_fft_inverse(rows),
            along: complex.plan_fft_forward(columns),
            back: complex.plan_fft_inverse(columns),
            high: (0..rows).map(|h| root(h, rows)).collect(),
            low: (0..columns).map(|l| root(l, length)).collect(),
        }
    }

    /// Numbers k1, which is the number of lines of a spectrum.
    fn lines(&self) -> usize {
        self.rows / 2 + 1
    }

    /// Whether there is memory for the spectra of so many vectors.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn check(&self, vectors: usize) -> Result<(), Error> {
        memory::check("a tile of circulant", self.lines(), 2 * vectors * self.columns)
    }

    /// `w_N^(k1 c)` for all c.
    fn twist(&self, k1: usize, out: &mut [Number]) {
        for (c, out) in out.iter_mut().enumerate() {
            let power = k1 * c;
            *out = self.high[power / self.columns] * self.low[power % self.columns];
        }
    }

    /// The spectra of some vectors; `fill` writes so many places from one on, row-major.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn transform(
        &self,
        vectors: usize,
        fill: impl Fn(usize, &mut [f64]),
        stop: &Stop<'_>,
    ) -> Result<Spectrum, Error> {
        let mut spectrum = self.down(vectors, fill, stop)?;
        let mut twist = vec![Complex::default(); self.columns];
        let mut scratch = vec![Complex::default(); self.along.get_inplace_scratch_len()];
        for (k1, line) in spectrum.lines.iter_mut().enumerate() {
            stop.poll()?;
            self.twist(k1, &mut twist);
            for x in line.chunks_exact_mut(self.columns) {
                x.iter_mut().zip(&twist).for_each(|(x, w)| *x *= w);
                self.along.process_with_scratch(x, &mut scratch);
            }
        }
        Ok(spectrum)
    }

    /// The inner sums of the formula.
    fn down(
        &self,
        vectors: usize,
        fill: impl Fn(usize, &mut [f64]),
        stop: &Stop<'_>,
    ) -> Result<Spectrum, Error> {
        let (rows, columns) = (self.rows, self.columns);
        let mut lines = Vec::with_capacity(self.lines());
        for _ in 0..self.lines() {
            stop.poll()?;
            let mut line = memory::room("a tile of circulant", vectors * columns)?;
            line.resize(vectors * columns, Complex::default());
            lines.push(line);
        }
        let mut block = vec![0.0; rows * STRIP * vectors];
        let (mut values, mut found) = (self.down.make_input_vec(), self.down.make_output_vec());
        let mut scratch = self.down.make_scratch_vec();
        for first in (0..columns).step_by(STRIP) {
            let count = STRIP.min(columns - first);
            let span = count * vectors;
            for (r, part) in block[..rows * span].chunks_exact_mut(span).enumerate() {
                fill(r * columns + first, part);
            }
            for v in 0..vectors {
                stop.poll()?;
                for c in 0..count {
                    let places = block[c * vectors + v..].iter().step_by(span);
                    values.iter_mut().zip(places).for_each(|(value, x)| *value = *x);
                    self.down
                        .process_with_scratch(&mut values, &mut found, &mut scratch)
                        .expect("the lengths are those of the plan");
                    for (line, x) in lines.iter_mut().zip(&found) {
                        line[v * columns + first + c] = *x;
                    }
                }
            }
        }
        Ok(Spectrum { lines, vectors })
    }

    /// The convolutions with the vector whose spectrum is `kernel`, times N, at these places: row-major,
    /// a row for each place.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn convolve(
        &self,
        mut x: Spectrum,
        kernel: &Spectrum,
        places: &[usize],
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let (columns, vectors) = (self.columns, x.vectors);
        let mut twist = vec![Complex::default(); columns];
        let mut scratch = vec![Complex::default(); self.back.get_inplace_scratch_len()];
        for (k1, (line, g)) in x.lines.iter_mut().zip(&kernel.lines).enumerate() {
            stop.poll()?;
            self.twist(k1, &mut twist);
            for x in line.chunks_exact_mut(columns) {
                x.iter_mut().zip(g).for_each(|(x, g)| *x *= g);
                self.back.process_with_scratch(x, &mut scratch);
                x.iter_mut().zip(&twist).for_each(|(x, w)| *x *= w.conj());
            }
        }
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_unstable_by_key(|s| places[*s] % columns);
        let mut out = vec![0.0; places.len() * vectors];
        let (mut values, mut found) = (self.up.make_input_vec(), self.up.make_output_vec());
        let mut scratch = self.up.make_scratch_vec();
        for together in order.chunk_by(|s, t| places[*s] % columns == places[*t] % columns) {
            stop.poll()?;
            let c = places[together[0]] % columns;
            for v in 0..vectors {
                for (value, line) in values.iter_mut().zip(&x.lines) {
                    *value = line[v * columns + c];
                }
                values[0].im = 0.0; // but for rounding they are
                if self.rows.is_multiple_of(2) {
                    values[self.rows / 2].im = 0.0;
                }
                self.up
                    .process_with_scratch(&mut values, &mut found, &mut scratch)
                    .expect("the lengths are those of the plan");
                for s in together {
                    out[s * vectors + v] = found[places[*s] / columns];
                }
            }
        }
        Ok(out)
    }

    /// N.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Spectrum {
    /// Multiplies all.
    pub fn scale(&mut self, factor: f64) {
        self.lines.iter_mut().flatten().for_each(|x| *x *= factor);
    }
}

#[cfg(test)]
mod tests {
    use sparrot_foundation::stop::Unobserved;

    use super::*;

    #[test]
    fn good_lengths_are_the_next() {
        let is_good = |mut n: usize| {
            for p in [2, 3, 5] {
                while n.is_multiple_of(p) {
                    n /= p;
                }
            }
            n == 1
        };
        for n in 1..3000 {
            assert_eq!(Some(good_length(n)), (n..).find(|m| is_good(*m)));
        }
        assert_eq!(good_length((1 << 40) - 3), 1 << 40);
    }

    #[test]
    fn is_the_sum_of_its_definition() {
        let stop = Stop::new(&Unobserved, None);
        for n in [1, 2, 3, 4, 5, 9, 10, 16, 27, 60, 125, 243, 250, 512, 900] {
            let value = |i: usize| ((i * i * 31 + 7 * i) % 101) as f64 - 50.0;
            let kernel = |i: usize| ((i * 17) % 13) as f64 - 6.0;
            let plan = Cyclic::new(n);
            assert_eq!(plan.length(), n);
            let places: Vec<usize> = (0..n).rev().step_by(1 + n / 40).collect();
            // Three vectors: two of them shifted, one many times larger.
            let large = [1.0, 1e9, 1.0];
            let fill = |first: usize, out: &mut [f64]| {
                for (k, out) in out.iter_mut().enumerate() {
                    *out = large[k % 3] * value((first + k / 3 + k % 3) % n);
                }
            };
            let x = plan.transform(3, fill, &stop).unwrap();
            let mut g = plan
                .transform(
                    1,
                    |first, out| {
                        out.iter_mut().enumerate().for_each(|(k, o)| *o = kernel(first + k))
                    },
                    &stop,
                )
                .unwrap();
            g.scale(1.0 / n as f64);
            let found = plan.convolve(x, &g, &places, &stop).unwrap();
            for (p, found) in places.iter().zip(found.chunks_exact(3)) {
                for v in 0..3 {
                    let exact: f64 =
                        (0..n).map(|i| kernel((p + n - i) % n) * value((i + v) % n)).sum();
                    let error = (found[v] - large[v] * exact).abs();
                    assert!(error <= 1e-11 * large[v] * n as f64, "{n} {p} {v}: {error}");
                }
            }
        }
    }
}
