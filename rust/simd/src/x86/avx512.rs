//! AVX-512: 8 doubles or 16 floats.

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
    const WIDE: bool = true;

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
    fn with_sign_of(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        Self(unsafe {
            let sign = _mm512_and_pd(_mm512_set1_pd(-0.0), other.0);
            _mm512_or_pd(self.abs().0, sign)
        })
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
    fn compress(
        self,
        mask: u32,
        base: u32,
        places: &mut [u32],
        values: &mut [f64],
        _zero: f64,
    ) -> usize {
        let (places, values) = (&mut places[..8], &mut values[..8]);
        // SAFETY: as in `splat`, and both slices have room for all lanes.
        unsafe {
            let all = _mm256_add_epi32(
                _mm256_set1_epi32(base as i32),
                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
            );
            let kept = _mm256_maskz_compress_epi32(mask as __mmask8, all);
            _mm256_storeu_si256(places.as_mut_ptr().cast(), kept);
            let kept = _mm512_maskz_compress_pd(mask as __mmask8, self.0);
            _mm512_storeu_pd(values.as_mut_ptr(), kept);
        }
        mask.count_ones() as usize
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
    fn with_sign_of(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        Self(unsafe {
            let sign = _mm512_and_ps(_mm512_set1_ps(-0.0), other.0);
            _mm512_or_ps(self.abs().0, sign)
        })
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
    fn compress(
        self,
        mask: u32,
        base: u32,
        places: &mut [u32],
        values: &mut [f32],
        _zero: f32,
    ) -> usize {
        let (places, values) = (&mut places[..16], &mut values[..16]);
        // SAFETY: as in `splat`, and both slices have room for all lanes.
        unsafe {
            let all = _mm512_add_epi32(
                _mm512_set1_epi32(base as i32),
                _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
            );
            let kept = _mm512_maskz_compress_epi32(mask as __mmask16, all);
            _mm512_storeu_si512(places.as_mut_ptr().cast(), kept);
            let kept = _mm512_maskz_compress_ps(mask as __mmask16, self.0);
            _mm512_storeu_ps(values.as_mut_ptr(), kept);
        }
        mask.count_ones() as usize
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
