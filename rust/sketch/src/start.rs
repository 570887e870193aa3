//! Where a preconditioner comes from: some of the rows, a sketch of all, or A itself.
//!
//! A sample is one row, drawn at random, of each of so many runs of equal length: it costs no pass, and
//! on most data is as good as a sketch. What it misses shows: columns that are 0 or dependent in it send
//! one to the sketch, and heavy rows make `C = (A X)'(A X)` large in some directions, never small in
//! any, as the sample is a part of A. That is mended by another triangle, `X L'^-1` with
//! `C = L L'` (CholeskyQR2: Fukaya, Nakatsukasa, Yanagisawa and Yamamoto, 2014); and with C shifted where it is not
//! positive definite as rounded, as after a sketch that has missed a direction (Fukaya, Kannan, Nakatsukasa,
//! Yamamoto and Yanagisawa, "Shifted Cholesky QR", SIAM J. Sci. Comput. 2020).

use faer::Mat;
use sparrot_foundation::{Error, Stop, Team, memory};

use crate::certificate::Certificate;
use crate::draws::{Draws, Purpose};
use crate::kind::{Kind, sketch};
use crate::model::Shifted;
use crate::precondition::{Preconditioner, condition, precondition, require_norm};
use crate::products::products;
use crate::rows::{Rows, not_finite};
use crate::solve::Settings;
use crate::steps::upper_inverse;

/// Rows of a sample or sketch for each unknown.
const TIMES: usize = 4;
/// Entries in each column of the sketch.
const NONZEROS: usize = 4;
/// Passes over A X, at most.
const PASSES: usize = 3;

/// A preconditioner, and what it took.
pub struct Start {
    /// From the rows that were looked at.
    pub by: Preconditioner,
    /// Those of the sample or sketch; 0 where A was factored itself.
    pub rows: usize,
    /// Passes over A.
    pub passes: usize,
}

/// From a sample where that shows full rank, and from all rows otherwise.
///
/// # Errors
/// As [`crate::solve()`].
pub fn start(
    rows: &Shifted<'_>,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Start, Error> {
    let (n, p) = (rows.rows(), rows.columns());
    let size = TIMES * p;
    if n <= 2 * size {
        let mut all: Vec<f64> = memory::zeros("the factors of A", n, p)?;
        rows.fill(0, 0..p, &mut all);
        let by = factored(rows, all, settings, stop)?;
        return Ok(Start { by, rows: 0, passes: 1 });
    }
    match factored(rows, sample(rows, size, settings.seed)?, settings, stop) {
        Ok(by) if by.rank() == p => return Ok(Start { by, rows: size, passes: 0 }),
        // What is wrong with the sample need not be so with the rest.
        Ok(_) | Err(Error::InvalidInput { .. }) => {}
        Err(error) => return Err(error),
    }
    let kind = Kind::SparseSign { nonzeros: NONZEROS };
    let all =
        sketch(rows, kind, size, settings.seed, 0, team, stop).map_err(|error| match error {
            Error::InvalidInput { .. } => not_finite(rows.problem.a, "A"),
            other => other,
        })?;
    Ok(Start { by: factored(rows, all, settings, stop)?, rows: size, passes: 1 })
}

/// One row of each of `count` runs of rows, scaled so that squares of norms are right on average.
fn sample(rows: &Shifted<'_>, count: usize, seed: u64) -> Result<Vec<f64>, Error> {
    let (n, p) = (rows.rows(), rows.columns());
    let mut all: Vec<f64> = memory::zeros("a sample of the rows", count, p)?;
    let mut stream = Draws { seed }.stream(Purpose::Rows, 0);
    let scale = (n as f64 / count as f64).sqrt();
    for (q, row) in all.chunks_exact_mut(p).enumerate() {
        let (first, end) = (q * n / count, (q + 1) * n / count);
        rows.fill(first + stream.below(end - first), 0..p, row);
        row.iter_mut().for_each(|v| *v *= scale);
    }
    Ok(all)
}

/// Of K, row-major, with rows for the ridge below.
fn factored(
    rows: &Shifted<'_>,
    mut k: Vec<f64>,
    settings: &Settings,
    stop: &Stop<'_>,
) -> Result<Preconditioner, Error> {
    let (p, d) = (rows.columns(), rows.problem.a.columns());
    if !k.iter().all(|v| v.is_finite()) {
        return Err(not_finite(rows.problem.a, "A"));
    }
    let root = rows.problem.ridge.sqrt();
    if root > 0.0 {
        for j in 0..d {
            let row = k.len();
            k.resize(row + p, 0.0);
            k[row + j] = root;
        }
    }
    stop.poll()?;
    precondition(k, p, d, settings.rcond, stop)
}

/// X, mended, and what is known of A X.
pub struct Conditioned {
    /// By way of A X.
    pub certificate: Certificate,
    /// `(A X)'b`.
    pub cross: Mat<f64>,
    /// The condition number of A.
    pub condition: f64,
    /// Passes over A.
    pub passes: usize,
}

/// Forms A X, and mends X as long as that is uneven.
///
/// # Errors
/// As [`crate::solve()`].
pub fn conditioned(
    rows: &Shifted<'_>,
    by: Preconditioner,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Conditioned, Error> {
    let d = rows.problem.a.columns();
    let (mut x, mut passes) = (by.x, 0);
    loop {
        let found = products(rows, Some(&x), team, stop)?;
        passes += 1;
        let certificate = Certificate::of_products(rows, x, &found, stop)?
            .ok_or_else(|| not_finite(rows.problem.a, "A"))?;
        stop.poll()?;
        if certificate.is_even() || passes == PASSES {
            for j in &by.active {
                let penalty = if *j < d { rows.problem.ridge.sqrt() } else { 0.0 };
                require_norm(*j, certificate.scales[*j].hypot(penalty))?;
            }
            let x = &certificate.x;
            let is_square = passes > 1 && x.nrows() == x.ncols();
            let condition =
                if is_square { triangular_condition(x, d, stop)? } else { by.condition };
            return Ok(Conditioned { certificate, cross: found.cross, condition, passes });
        }
        x = certificate.orthonormalised(stop)?;
    }
}

/// The condition number of the first columns of a matrix that X, upper triangular, makes orthonormal.
fn triangular_condition(x: &Mat<f64>, columns: usize, stop: &Stop<'_>) -> Result<f64, Error> {
    let t = upper_inverse(x.as_ref(), stop)?;
    condition(t.get(.., 0..columns), x.get(0..columns, ..), stop)
}
