//! The operations for x86-64: AVX2 with FMA, and AVX-512.

use std::arch::x86_64::*;

use crate::lanes::{Kernel, Simd, Vector};

/// The operations whose intrinsics are named alike in both instruction sets.
macro_rules! common_operations {
    ($float:ty, $array:ty, $lanes:literal, $lowest:literal, $set1:ident, $loadu:ident, $storeu:ident, $stream:ident, $add:ident,
     $sub:ident, $mul:ident, $sqrt:ident, $fmadd:ident, $min:ident, $max:ident) => {
        type Elem = $float;
        const LANES: usize = $lanes;
        const FUSED: bool = true;
        const LOWEST: $float = $lowest;
        type Array = $array;

        #[inline(always)]
        fn splat(x: $float) -> Self {
            // SAFETY: registers of this level are only made inside its `enter`.
            Self(unsafe { $set1(x) })
        }
        #[inline(always)]
        fn filled_array(x: $float) -> Self::Array {
            [x; $lanes]
        }
        #[inline(always)]
        fn load(x: &[$float]) -> Self {
            let lanes = &x[..$lanes];
            // SAFETY: as in `splat`, and the slice holds a whole register.
            Self(unsafe { $loadu(lanes.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, x: &mut [$float]) {
            let lanes = &mut x[..$lanes];
            // SAFETY: as in `load`.
            unsafe { $storeu(lanes.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn stream(self, x: &mut [$float]) {
            let lanes = &mut x[..$lanes];
            assert!(lanes.as_ptr().cast::<Self>().is_aligned());
            // SAFETY: as in `load`, and aligned.
            unsafe { $stream(lanes.as_mut_ptr().cast(), self.0) }
        }
        #[inline(always)]
        fn fence() {
            // SAFETY: every x86-64 processor has it.
            unsafe { _mm_sfence() }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { $add(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { $sub(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { $mul(self.0, other.0) })
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { $sqrt(self.0) })
        }
        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { $fmadd(self.0, b.0, c.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { $min(self.0, other.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { $max(self.0, other.0) })
        }
    };
}

pub(crate) mod avx2;
pub(crate) mod avx512;
