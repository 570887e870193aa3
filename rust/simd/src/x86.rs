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

pub(crate) mod avx2 {
    use super::*;

    /// The first `len` lanes.
    #[inline(always)]
    fn tail_mask_pd(len: usize) -> __m256i {
        const ONES: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];
        let lanes = &ONES[4 - len..8 - len];
        // SAFETY: as in `load`.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
    }
    /// As above.
    #[inline(always)]
    fn tail_mask_ps(len: usize) -> __m256i {
        const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        let lanes = &ONES[8 - len..16 - len];
        // SAFETY: as in `load`.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
    }

    pub(crate) struct Avx2;
    impl Simd for Avx2 {
        type F64 = F64;
        type F32 = F32;

        #[inline(always)]
        fn widen(x: F32) -> [F64; 2] {
            // SAFETY: as in `splat`.
            unsafe {
                [
                    F64(_mm256_cvtps_pd(_mm256_castps256_ps128(x.0))),
                    F64(_mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x.0))),
                ]
            }
        }
    }

    /// Runs the kernel as code compiled for AVX2 and FMA.
    ///
    /// # Safety
    /// The processor must have both.
    #[target_feature(enable = "avx2,fma")]
    pub(crate) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx2>()
    }

    #[derive(Clone, Copy)]
    pub(crate) struct F64(__m256d);
    impl Vector for F64 {
        common_operations!(
            f64,
            [f64; 4],
            4,
            0.0,
            _mm256_set1_pd,
            _mm256_loadu_pd,
            _mm256_storeu_pd,
            _mm256_stream_pd,
            _mm256_add_pd,
            _mm256_sub_pd,
            _mm256_mul_pd,
            _mm256_sqrt_pd,
            _mm256_fmadd_pd,
            _mm256_min_pd,
            _mm256_max_pd
        );
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm256_andnot_pd(_mm256_set1_pd(-0.0), self.0) })
        }
        #[inline(always)]
        fn load_tail(x: &[f64], fill: f64) -> Self {
            let mask = tail_mask_pd(x.len());
            // SAFETY: as in `splat`; lanes that are masked are not read.
            Self(unsafe {
                let values = _mm256_maskload_pd(x.as_ptr(), mask);
                _mm256_blendv_pd(_mm256_set1_pd(fill), values, _mm256_castsi256_pd(mask))
            })
        }
        #[inline(always)]
        fn store_tail(self, x: &mut [f64], _zero: f64) {
            let mask = tail_mask_pd(x.len());
            // SAFETY: as in `splat`; lanes that are masked are not written.
            unsafe { _mm256_maskstore_pd(x.as_mut_ptr(), mask, self.0) }
        }
        #[inline(always)]
        fn round(self) -> Self {
            const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            // SAFETY: as in `splat`.
            Self(unsafe { _mm256_round_pd::<NEAREST>(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // 2^n may lie outside the range of the type, so it is applied as two halves.
            let bias = F64::splat(6755399441055744.0 + 1023.0);
            let half = n.mul(F64::splat(0.5)).round();
            let rest = n.sub(half).add(bias).to_exponent();
            self.mul(half.add(bias).to_exponent()).mul(rest)
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            F64::splat(6755399441055744.0)
                .max(self.add(F64::splat(6755399441055744.0 + 1023.0)))
                .to_exponent()
        }
        #[inline(always)]
        fn to_exponent(self) -> Self {
            // SAFETY: as in `splat`.
            unsafe {
                let shifted = _mm256_slli_epi64::<52>(_mm256_castpd_si256(self.0));
                Self(_mm256_castsi256_pd(shifted))
            }
        }
        #[inline(always)]
        fn zero_up_to(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm256_and_pd(self.0, _mm256_cmp_pd::<_CMP_NLE_UQ>(self.0, other.0)) })
        }
        #[inline(always)]
        fn zero_unless_below(self, x: Self, bound: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm256_and_pd(self.0, _mm256_cmp_pd::<_CMP_NGE_UQ>(x.0, bound.0)) })
        }
        #[inline(always)]
        fn mask_gt(self, other: Self) -> u32 {
            // SAFETY: as in `splat`.
            unsafe { _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(self.0, other.0)) as u32 }
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct F32(__m256);
    impl Vector for F32 {
        common_operations!(
            f32,
            [f32; 8],
            8,
            0.0,
            _mm256_set1_ps,
            _mm256_loadu_ps,
            _mm256_storeu_ps,
            _mm256_stream_ps,
            _mm256_add_ps,
            _mm256_sub_ps,
            _mm256_mul_ps,
            _mm256_sqrt_ps,
            _mm256_fmadd_ps,
            _mm256_min_ps,
            _mm256_max_ps
        );
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
        }
        #[inline(always)]
        fn load_tail(x: &[f32], fill: f32) -> Self {
            let mask = tail_mask_ps(x.len());
            // SAFETY: as in `splat`; lanes that are masked are not read.
            Self(unsafe {
                let values = _mm256_maskload_ps(x.as_ptr(), mask);
                _mm256_blendv_ps(_mm256_set1_ps(fill), values, _mm256_castsi256_ps(mask))
            })
        }
        #[inline(always)]
        fn store_tail(self, x: &mut [f32], _zero: f32) {
            let mask = tail_mask_ps(x.len());
            // SAFETY: as in `splat`; lanes that are masked are not written.
            unsafe { _mm256_maskstore_ps(x.as_mut_ptr(), mask, self.0) }
        }
        #[inline(always)]
        fn round(self) -> Self {
            const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            // SAFETY: as in `splat`.
            Self(unsafe { _mm256_round_ps::<NEAREST>(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // 2^n may lie outside the range of the type, so it is applied as two halves.
            let bias = F32::splat(12582912.0 + 127.0);
            let half = n.mul(F32::splat(0.5)).round();
            let rest = n.sub(half).add(bias).to_exponent();
            self.mul(half.add(bias).to_exponent()).mul(rest)
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            F32::splat(12582912.0).max(self.add(F32::splat(12582912.0 + 127.0))).to_exponent()
        }
        #[inline(always)]
        fn to_exponent(self) -> Self {
            // SAFETY: as in `splat`.
            unsafe {
                let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(self.0));
                Self(_mm256_castsi256_ps(shifted))
            }
        }
        #[inline(always)]
        fn zero_up_to(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_NLE_UQ>(self.0, other.0)) })
        }
        #[inline(always)]
        fn zero_unless_below(self, x: Self, bound: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_NGE_UQ>(x.0, bound.0)) })
        }
        #[inline(always)]
        fn mask_gt(self, other: Self) -> u32 {
            // SAFETY: as in `splat`.
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) as u32 }
        }
    }
}

pub(crate) mod avx512 {
    use super::*;

    /// The first `len` lanes.
    #[inline(always)]
    fn tail_mask<const LANES: usize>(len: usize) -> u32 {
        assert!(len <= LANES);
        (1 << len) - 1
    }

    pub(crate) struct Avx512;
    impl Simd for Avx512 {
        type F64 = F64;
        type F32 = F32;

        #[inline(always)]
        fn widen(x: F32) -> [F64; 2] {
            // SAFETY: as in `splat`.
            unsafe {
                [
                    F64(_mm512_cvtps_pd(_mm512_castps512_ps256(x.0))),
                    F64(_mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x.0))),
                ]
            }
        }
    }

    /// Runs the kernel as code compiled for AVX-512.
    ///
    /// # Safety
    /// The processor must have AVX-512 F, BW, DQ and VL.
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(crate) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx512>()
    }

    #[derive(Clone, Copy)]
    pub(crate) struct F64(__m512d);
    impl Vector for F64 {
        common_operations!(
            f64,
            [f64; 8],
            8,
            -54.0,
            _mm512_set1_pd,
            _mm512_loadu_pd,
            _mm512_storeu_pd,
            _mm512_stream_pd,
            _mm512_add_pd,
            _mm512_sub_pd,
            _mm512_mul_pd,
            _mm512_sqrt_pd,
            _mm512_fmadd_pd,
            _mm512_min_pd,
            _mm512_max_pd
        );
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm512_abs_pd(self.0) })
        }
        #[inline(always)]
        fn load_tail(x: &[f64], fill: f64) -> Self {
            let mask = tail_mask::<8>(x.len()) as __mmask8;
            // SAFETY: as in `splat`; lanes that are masked are not read.
            Self(unsafe { _mm512_mask_loadu_pd(_mm512_set1_pd(fill), mask, x.as_ptr()) })
        }
        #[inline(always)]
        fn store_tail(self, x: &mut [f64], _zero: f64) {
            let mask = tail_mask::<8>(x.len()) as __mmask8;
            // SAFETY: as in `splat`; lanes that are masked are not written.
            unsafe { _mm512_mask_storeu_pd(x.as_mut_ptr(), mask, self.0) }
        }
        #[inline(always)]
        fn round(self) -> Self {
            // SAFETY: as in `splat`. The immediate asks for no fraction bits, nearest, quiet.
            Self(unsafe { _mm512_roundscale_pd::<8>(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm512_scalef_pd(self.0, n.0) })
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            F64::splat(1.0).scale(self)
        }
        #[inline(always)]
        fn largest(self) -> f64 {
            // SAFETY: as in `splat`.
            unsafe { _mm512_reduce_max_pd(self.0) }
        }
        #[inline(always)]
        fn exponential(self, r: Self, m: Self) -> Self {
            self.exponential_down(r, m.sub(F64::splat(6755399441055744.0 + 1023.0)))
        }
        #[inline(always)]
        fn exponential_down(self, r: Self, d: Self) -> Self {
            self.mul_add(r, F64::splat(1.0)).scale(d)
        }
        #[inline(always)]
        fn to_exponent(self) -> Self {
            // SAFETY: as in `splat`.
            unsafe {
                let shifted = _mm512_slli_epi64::<52>(_mm512_castpd_si512(self.0));
                Self(_mm512_castsi512_pd(shifted))
            }
        }
        #[inline(always)]
        fn zero_up_to(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe {
                let keep = _mm512_cmp_pd_mask::<_CMP_NLE_UQ>(self.0, other.0);
                _mm512_maskz_mov_pd(keep, self.0)
            })
        }
        #[inline(always)]
        fn zero_unless_below(self, x: Self, bound: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe {
                let keep = _mm512_cmp_pd_mask::<_CMP_NGE_UQ>(x.0, bound.0);
                _mm512_maskz_mov_pd(keep, self.0)
            })
        }
        #[inline(always)]
        fn mask_gt(self, other: Self) -> u32 {
            // SAFETY: as in `splat`.
            unsafe { u32::from(_mm512_cmp_pd_mask::<_CMP_GT_OQ>(self.0, other.0)) }
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct F32(__m512);
    impl Vector for F32 {
        common_operations!(
            f32,
            [f32; 16],
            16,
            -25.0,
            _mm512_set1_ps,
            _mm512_loadu_ps,
            _mm512_storeu_ps,
            _mm512_stream_ps,
            _mm512_add_ps,
            _mm512_sub_ps,
            _mm512_mul_ps,
            _mm512_sqrt_ps,
            _mm512_fmadd_ps,
            _mm512_min_ps,
            _mm512_max_ps
        );
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm512_abs_ps(self.0) })
        }
        #[inline(always)]
        fn load_tail(x: &[f32], fill: f32) -> Self {
            let mask = tail_mask::<16>(x.len()) as __mmask16;
            // SAFETY: as in `splat`; lanes that are masked are not read.
            Self(unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, x.as_ptr()) })
        }
        #[inline(always)]
        fn store_tail(self, x: &mut [f32], _zero: f32) {
            let mask = tail_mask::<16>(x.len()) as __mmask16;
            // SAFETY: as in `splat`; lanes that are masked are not written.
            unsafe { _mm512_mask_storeu_ps(x.as_mut_ptr(), mask, self.0) }
        }
        #[inline(always)]
        fn round(self) -> Self {
            // SAFETY: as in `splat`. The immediate asks for no fraction bits, nearest, quiet.
            Self(unsafe { _mm512_roundscale_ps::<8>(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe { _mm512_scalef_ps(self.0, n.0) })
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            F32::splat(1.0).scale(self)
        }
        #[inline(always)]
        fn largest(self) -> f32 {
            // SAFETY: as in `splat`.
            unsafe { _mm512_reduce_max_ps(self.0) }
        }
        #[inline(always)]
        fn exponential(self, r: Self, m: Self) -> Self {
            self.exponential_down(r, m.sub(F32::splat(12582912.0 + 127.0)))
        }
        #[inline(always)]
        fn exponential_down(self, r: Self, d: Self) -> Self {
            self.mul_add(r, F32::splat(1.0)).scale(d)
        }
        #[inline(always)]
        fn to_exponent(self) -> Self {
            // SAFETY: as in `splat`.
            unsafe {
                let shifted = _mm512_slli_epi32::<23>(_mm512_castps_si512(self.0));
                Self(_mm512_castsi512_ps(shifted))
            }
        }
        #[inline(always)]
        fn zero_up_to(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe {
                let keep = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(self.0, other.0);
                _mm512_maskz_mov_ps(keep, self.0)
            })
        }
        #[inline(always)]
        fn zero_unless_below(self, x: Self, bound: Self) -> Self {
            // SAFETY: as in `splat`.
            Self(unsafe {
                let keep = _mm512_cmp_ps_mask::<_CMP_NGE_UQ>(x.0, bound.0);
                _mm512_maskz_mov_ps(keep, self.0)
            })
        }
        #[inline(always)]
        fn mask_gt(self, other: Self) -> u32 {
            // SAFETY: as in `splat`.
            unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0)) }
        }
    }
}
