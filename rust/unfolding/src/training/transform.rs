//! The trained network on new signals.

use sparrot_foundation::{Error, Stop, Team};

use crate::dictionary::Dictionary;
use crate::matrix::Matrix;
use crate::number::Number;
use crate::training::tile::{TILE, Tile};
use crate::training::{Network, Shrinkage};

/// Signals that share the room of a tile.
const BLOCK: usize = 8 * TILE;

/// The codes of signals, into rows of zeros; whether all of them are finite.
///
/// # Errors
/// [`Error::OutOfMemory`]; [`Error::Interrupted`].
pub fn transform<T: Number>(
    dictionary: &Matrix<'_, T>,
    signals: &[T],
    network: &Network,
    shrinkage: Shrinkage,
    codes: &mut [T],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<bool, Error> {
    let (features, atoms) = (dictionary.features(), dictionary.atoms());
    let blocks = signals.chunks(BLOCK * features).zip(codes.chunks_mut(BLOCK * atoms)).collect();
    let results = team.run(stop, blocks, |(signals, codes): (&[T], &mut [T])| {
        let mut tile = Tile::new(TILE, dictionary, network.depth().min(2))?;
        let mut finite = true;
        let parts = signals.chunks(TILE * features).zip(codes.chunks_mut(TILE * atoms));
        for (signals, codes) in parts {
            let count = signals.len() / features;
            let base = &mut tile.base[..count * atoms];
            dictionary.correlate(signals, -T::ONE, base)?;
            let depth = network.depth();
            finite &= tile.forward(count, dictionary, network, depth, shrinkage.exact())?;
            tile.take_codes(atoms, codes);
        }
        Ok(finite)
    })?;
    results.into_iter().try_fold(true, |all, one| Ok(all & one?))
}
