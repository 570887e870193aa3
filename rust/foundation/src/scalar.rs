//! The element types of input and output. Potentials, sums and certificates are always f64.

/// f32 or f64.
pub trait Scalar: Copy + Send + Sync + PartialOrd + 'static {
    /// Widened, exactly.
    fn to_f64(self) -> f64;
    /// Rounded to the nearest.
    fn from_f64(x: f64) -> Self;
    /// The same numbers, if they are f64.
    fn as_doubles(_: &[Self]) -> Option<&[f64]> {
        None
    }
}

impl Scalar for f32 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }
}

impl Scalar for f64 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn as_doubles(x: &[f64]) -> Option<&[f64]> {
        Some(x)
    }
}
