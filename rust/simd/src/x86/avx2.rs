//! AVX2 with FMA: 4 doubles or 8 floats.

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

/// Of each mask of eight lanes those that are set, in order,
static SET: [[u8; 8]; 256] = {
    let mut set = [[0; 8]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut count) = (0, 0);
        while lane < 8 {
            if mask >> lane & 1 == 1 {
                set[mask][count] = lane as u8;
                count += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    set
};
/// and how many they are: the instruction that counts need not come with this level.
static COUNT: [u8; 256] = {
    let mut counts = [0; 256];
    let mut mask = 0;
    while mask < 256 {
        counts[mask] = (mask as u8).count_ones() as u8;
        mask += 1;
    }
    counts
};
/// Each bit of a mask of four lanes, twice.
static TWICE: [u8; 16] = {
    let mut twice = [0; 16];
    let mut mask = 0;
    while mask < 16 {
        let mut lane = 0;
        while lane < 4 {
            twice[mask] |= ((mask >> lane & 1) as u8 * 3) << (2 * lane);
            lane += 1;
        }
        mask += 1;
    }
    twice
};
/// [`SET`] as indices.
#[inline(always)]
fn set_lanes(mask: usize) -> __m256i {
    // SAFETY: as in `load`: an array of eight bytes.
    unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(SET[mask].as_ptr().cast())) }
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
    fn with_sign_of(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        Self(unsafe {
            let sign = _mm256_and_pd(_mm256_set1_pd(-0.0), other.0);
            _mm256_or_pd(self.abs().0, sign)
        })
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
    fn compress(
        self,
        mask: u32,
        base: u32,
        places: &mut [u32],
        values: &mut [f64],
        _zero: f64,
    ) -> usize {
        let (places, values) = (&mut places[..4], &mut values[..4]);
        let mask = mask as usize & 15;
        // SAFETY: as in `splat`, and both slices have room for all lanes.
        unsafe {
            let lanes = _mm256_castsi256_si128(set_lanes(mask));
            let lanes = _mm_add_epi32(_mm_set1_epi32(base as i32), lanes);
            _mm_storeu_si128(places.as_mut_ptr().cast(), lanes);
            // A lane is two of those that can be moved.
            let halves = set_lanes(TWICE[mask].into());
            let kept = _mm256_permutevar8x32_epi32(_mm256_castpd_si256(self.0), halves);
            _mm256_storeu_pd(values.as_mut_ptr(), _mm256_castsi256_pd(kept));
        }
        COUNT[mask].into()
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
    fn with_sign_of(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        Self(unsafe {
            let sign = _mm256_and_ps(_mm256_set1_ps(-0.0), other.0);
            _mm256_or_ps(self.abs().0, sign)
        })
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
    fn compress(
        self,
        mask: u32,
        base: u32,
        places: &mut [u32],
        values: &mut [f32],
        _zero: f32,
    ) -> usize {
        let (places, values) = (&mut places[..8], &mut values[..8]);
        let mask = mask as usize & 255;
        // SAFETY: as in `splat`, and both slices have room for all lanes.
        unsafe {
            let lanes = set_lanes(mask);
            let kept = _mm256_permutevar8x32_ps(self.0, lanes);
            _mm256_storeu_ps(values.as_mut_ptr(), kept);
            let lanes = _mm256_add_epi32(_mm256_set1_epi32(base as i32), lanes);
            _mm256_storeu_si256(places.as_mut_ptr().cast(), lanes);
        }
        COUNT[mask].into()
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
