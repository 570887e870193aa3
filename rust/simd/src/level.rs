//! The instruction sets a kernel is compiled for, and the one this process uses.

use std::sync::OnceLock;

/// An instruction set. The order is the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on 64-bit ARM.
    Baseline,
    /// AVX2 with fused multiply-add (x86-64).
    Avx2,
    /// AVX-512 F, BW, DQ and VL (x86-64).
    Avx512,
}

impl Level {
    /// All levels, slowest first.
    pub const ALL: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];

    /// The word `SPARROT_SIMD` knows this level by.
    pub fn name(self) -> &'static str {
        match self {
            Level::Baseline if cfg!(target_arch = "aarch64") => "neon",
            Level::Baseline => "baseline",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// The level of that name, whether or not this machine has it.
    pub fn from_name(name: &str) -> Option<Level> {
        match name {
            "baseline" => Some(Level::Baseline),
            _ => Level::ALL.into_iter().find(|level| level.name() == name),
        }
    }

    /// Whether this processor can run the level.
    pub fn is_available(self) -> bool {
        match self {
            Level::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                Level::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The levels of this machine, slowest first.
    pub fn available() -> Vec<Level> {
        Level::ALL.into_iter().filter(|level| level.is_available()).collect()
    }

    fn best() -> Level {
        Level::ALL.into_iter().rev().find(|level| level.is_available()).unwrap_or(Level::Baseline)
    }
}

/// Why a forced level cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLevel {
    /// The value of `SPARROT_SIMD`.
    pub requested: String,
}

impl std::fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = Level::available().into_iter().map(Level::name).collect();
        write!(
            f,
            "SPARROT_SIMD={:?} is not an instruction set of this machine; it has: {}",
            self.requested,
            names.join(", ")
        )
    }
}

fn from_environment() -> Result<Level, UnknownLevel> {
    match std::env::var("SPARROT_SIMD") {
        Ok(requested) if !requested.is_empty() => Level::from_name(&requested)
            .filter(|level| level.is_available())
            .ok_or(UnknownLevel { requested }),
        _ => Ok(Level::best()),
    }
}

static ACTIVE: OnceLock<Result<Level, UnknownLevel>> = OnceLock::new();

/// The level this process uses, or why the one asked for cannot be had. The environment is read
/// once; a wrong value is an error for the caller to raise, and the kernels then run at the best
/// level there is.
pub fn requested() -> Result<Level, UnknownLevel> {
    ACTIVE.get_or_init(from_environment).clone()
}

/// The level every kernel of this process runs at.
#[inline]
pub fn active() -> Level {
    match ACTIVE.get_or_init(from_environment) {
        Ok(level) => *level,
        Err(_) => Level::best(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_baseline_is_everywhere() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
        }
        assert_eq!(Level::from_name("mmx"), None);
        assert_eq!(Level::available()[0], Level::Baseline);
        assert!(Level::best() >= Level::Baseline);
    }
}
