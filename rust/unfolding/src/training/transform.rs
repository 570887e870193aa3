//! The trained network on new signals.

use sparrot_foundation::Error;

use crate::dictionary::Dictionary;
use crate::matrix::Matrix;
use crate::number::Number;
use crate::training::tile::{TILE, Tile};
use crate::training::{Network, Run, Shrinkage};

/// Signals that share the room of a tile.
const BLOCK: usize = 8 * TILE;

/// What is told of the codes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coded {
    /// Whether all are finite.
    pub finite: bool,
    /// How many leave more of a residual than the code 0: nothing bounds what trained steps do to signals
    /// unlike those of training.
    pub worse_than_zero: usize,
}

impl Coded {
    fn and(self, other: Coded) -> Coded {
        Coded {
            finite: self.finite & other.finite,
            worse_than_zero: self.worse_than_zero + other.worse_than_zero,
        }
    }
}

/// The codes of signals, into rows of zeros.
///
/// **Cost.** That of the layers, and of one more for the residuals.
///
/// # Errors
/// [`Error::OutOfMemory`]; [`Error::Interrupted`].
pub fn transform<T: Number>(
    dictionary: &Matrix<'_, T>,
    signals: &[T],
    network: &Network,
    shrinkage: Shrinkage,
    codes: &mut [T],
    run: Run<'_>,
) -> Result<Coded, Error> {
    let (features, atoms) = (dictionary.features(), dictionary.atoms());
    let blocks = signals.chunks(BLOCK * features).zip(codes.chunks_mut(BLOCK * atoms)).collect();
    let none = Coded { finite: true, worse_than_zero: 0 };
    let results = run.team.run(run.stop, blocks, |(signals, codes): (&[T], &mut [T])| {
        let mut tile = Tile::new(TILE, dictionary, network.depth().min(2))?;
        let mut all = none;
        let parts = signals.chunks(TILE * features).zip(codes.chunks_mut(TILE * atoms));
        for (signals, codes) in parts {
            let count = signals.len() / features;
            let base = &mut tile.base[..count * atoms];
            dictionary.correlate(signals, -T::ONE, base)?;
            let depth = network.depth();
            let finite = tile.forward(count, dictionary, network, depth, shrinkage.exact())?;
            let worse_than_zero = tile.count_worse_than_zero(dictionary)?;
            all = all.and(Coded { finite, worse_than_zero });
            tile.take_codes(atoms, codes);
        }
        Ok(all)
    })?;
    results.into_iter().try_fold(none, |all, one| Ok(all.and(one?)))
}
