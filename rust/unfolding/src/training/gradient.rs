//! A batch of signals: tiles, side by side, summed in order.

use sparrot_foundation::{Error, memory};

use crate::batch::check;
use crate::dictionary::Dictionary;
use crate::matrix::Matrix;
use crate::number::Number;
use crate::training::tile::{Tile, share};
use crate::training::{Network, Objective, Run};

/// Signals that are multiplied by the dictionary at a time.
const BLOCK: usize = 256;

/// What is known of the signals to train on.
#[derive(Debug)]
pub struct Signals<'a, T> {
    /// `-A'y`.
    minus_correlations: Vec<T>,
    /// True codes, by rows, if there are any.
    codes: Option<&'a [T]>,
    /// `|y|^2`, or `|x*|^2` if there are true codes.
    squares: Vec<f64>,
}

impl<'a, T: Number> Signals<'a, T> {
    /// Of signals by rows; with true codes, by rows, for a supervised loss.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if squares over- or underflow; [`Error::OutOfMemory`];
    /// [`Error::Interrupted`].
    pub fn new(
        dictionary: &Matrix<'_, T>,
        signals: &[T],
        codes: Option<&'a [T]>,
        run: Run<'_>,
    ) -> Result<Signals<'a, T>, Error> {
        let (features, atoms) = (dictionary.features(), dictionary.atoms());
        // Squares are of double precision; large products are not.
        check("X", signals, features, f64::LEAST_SQUARES..=T::MOST_SQUARES)?;
        if let Some(codes) = codes {
            check("y", codes, atoms, f64::SQUARES)?;
        }
        let count = signals.len() / features;
        let mut minus_correlations = memory::zeros("products of signals and atoms", count, atoms)?;
        let blocks = signals.chunks(BLOCK * features);
        let items = blocks.zip(minus_correlations.chunks_mut(BLOCK * atoms)).collect();
        let correlate =
            |(signals, out): (&[T], &mut [T])| dictionary.correlate(signals, -T::ONE, out);
        let done = run.team.run(run.stop, items, correlate)?;
        done.into_iter().collect::<Result<(), Error>>()?;
        let (rows, width) = match codes {
            Some(codes) => (codes, atoms),
            None => (signals, features),
        };
        let square = |row: &[T]| row.iter().map(|x| x.to_f64() * x.to_f64()).sum();
        let squares = rows.chunks(width).map(square).collect();
        Ok(Signals { minus_correlations, codes, squares })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.squares.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.squares.is_empty()
    }
}

/// Sums over signals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Of the loss.
    pub loss: f64,
    /// Of its derivatives by the logarithms of steps, layer by layer.
    pub log_steps: Vec<f64>,
    /// Likewise of penalties.
    pub log_alphas: Vec<f64>,
    /// Of the non-zeros of codes.
    pub nonzeros: usize,
    /// Whether everything on the way was finite.
    pub is_finite: bool,
}

impl Sums {
    fn new(depth: usize) -> Sums {
        let zeros = vec![0.0; depth];
        Sums { log_steps: zeros.clone(), log_alphas: zeros, is_finite: true, ..Sums::default() }
    }

    fn clear(&mut self) {
        (self.loss, self.nonzeros, self.is_finite) = (0.0, 0, true);
        self.log_steps.fill(0.0);
        self.log_alphas.fill(0.0);
    }

    fn add(&mut self, other: &Sums) {
        self.loss += other.loss;
        self.nonzeros += other.nonzeros;
        self.is_finite &= other.is_finite;
        self.log_steps.iter_mut().zip(&other.log_steps).for_each(|(a, b)| *a += b);
        self.log_alphas.iter_mut().zip(&other.log_alphas).for_each(|(a, b)| *a += b);
    }
}

/// Finds the loss of batches, and its gradient.
pub struct Gradient<'a, T: Number> {
    dictionary: &'a Matrix<'a, T>,
    signals: &'a Signals<'a, T>,
    /// Signals of a tile.
    share: usize,
    tiles: Vec<(Tile<T>, Sums)>,
    total: Sums,
}

impl<'a, T: Number> Gradient<'a, T> {
    /// With room for batches of so many signals and networks of so many layers.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(
        dictionary: &'a Matrix<'a, T>,
        signals: &'a Signals<'a, T>,
        batch: usize,
        depth: usize,
    ) -> Result<Gradient<'a, T>, Error> {
        memory::check("the layers of a batch", batch.saturating_mul(dictionary.atoms()), depth)?;
        let share = share(batch);
        let tile = || Ok((Tile::new(share, dictionary, depth)?, Sums::new(depth)));
        let tiles = (0..batch.div_ceil(share)).map(|_| tile()).collect::<Result<_, Error>>()?;
        Ok(Gradient { dictionary, signals, share, tiles, total: Sums::new(depth) })
    }

    /// The sums over a batch, no larger than there is room for: of the first layers of the network;
    /// without the gradient if it is not wanted.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn sums(
        &mut self,
        batch: &[u32],
        network: &Network,
        depth: usize,
        objective: Objective,
        wants_gradient: bool,
        run: Run<'_>,
    ) -> Result<&Sums, Error> {
        let Objective { shrinkage, loss } = objective;
        let (dictionary, signals) = (self.dictionary, self.signals);
        let n = dictionary.atoms();
        let items: Vec<_> = batch.chunks(self.share).zip(&mut self.tiles).collect();
        let count = items.len();
        // Multiply-adds of sparse rows, a few dozen in a nanosecond.
        let team = run.team.for_work(batch.len() * depth * (n * n / 32));
        let done = team.run(run.stop, items, |(rows, (tile, sums))| {
            sums.clear();
            for (base, row) in tile.base.chunks_mut(n).zip(rows) {
                let row = *row as usize;
                base.copy_from_slice(&signals.minus_correlations[row * n..][..n]);
            }
            sums.is_finite = tile.forward(rows.len(), dictionary, network, depth, shrinkage)?;
            let truth = |i: usize| match signals.codes {
                Some(codes) => &codes[rows[i] as usize * n..][..n],
                None => &[],
            };
            let squares = |i: usize| signals.squares[rows[i] as usize];
            tile.loss(loss, dictionary, truth, squares, sums)?;
            if wants_gradient {
                tile.backward(dictionary, network, depth, shrinkage, sums)?;
            }
            Ok(())
        })?;
        done.into_iter().collect::<Result<(), Error>>()?;
        self.total.clear();
        self.tiles[..count].iter().for_each(|(_, sums)| self.total.add(sums));
        let figures = self.total.log_steps.iter().chain(&self.total.log_alphas);
        self.total.is_finite &=
            self.total.loss.is_finite() && figures.into_iter().all(|x| x.is_finite());
        Ok(&self.total)
    }

    /// The mean over signals, of all layers; the loss is NaN if something on the way was not finite.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn mean(
        &mut self,
        rows: &[u32],
        network: &Network,
        objective: Objective,
        wants_gradient: bool,
        run: Run<'_>,
    ) -> Result<Sums, Error> {
        let depth = network.depth();
        let mut mean = Sums::new(depth);
        for batch in rows.chunks(self.share * self.tiles.len()) {
            mean.add(self.sums(batch, network, depth, objective, wants_gradient, run)?);
        }
        let count = rows.len() as f64;
        mean.loss = if mean.is_finite { mean.loss / count } else { f64::NAN };
        mean.log_steps.iter_mut().chain(&mut mean.log_alphas).for_each(|x| *x /= count);
        Ok(mean)
    }
}
