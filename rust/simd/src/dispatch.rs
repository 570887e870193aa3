//! Which compiled form of a kernel runs, and the macro that compiles each.

use crate::lanes::Kernel;
use crate::level::Level;

/// Runs the kernel with the instructions of `level`, which must be one this machine has.
#[inline]
pub(crate) fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    debug_assert!(level.is_available());
    match level {
        // SAFETY: `active()` and the tests hand out only levels the processor was found to have.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { crate::x86::avx512::enter(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { crate::x86::avx2::enter(kernel) },
        _ => kernel.run::<crate::portable::Portable>(),
    }
}

/// Defines `pub fn name(args)` that runs its body, generic over a level `S`, at the active level.
///
/// In tests the same body can be run at each level in turn: `name::at(level, args)`.
macro_rules! kernel {
    ($(#[$meta:meta])* pub fn $name:ident<'a, $simd:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        #[inline]
        #[allow(clippy::too_many_arguments, reason = "a kernel takes plain slices, not a structure")]
        pub fn $name<'a>($($arg: $ty),*) $(-> $out)? {
            $name::at($crate::level::active(), $($arg),*)
        }

        #[doc(hidden)]
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "each kernel uses some of its file's names")]
            use super::*;
            use $crate::lanes::{Kernel, Simd};

            struct Args<'a> {
                $($arg: $ty,)*
                _slices: std::marker::PhantomData<&'a ()>,
            }

            #[allow(unused_parens, reason = "a kernel without a result returns ()")]
            impl<'a> Kernel for Args<'a> {
                type Output = kernel!(@out $($out)?);
                #[inline(always)]
                fn run<$simd: Simd>(self) -> Self::Output {
                    let Args { $($arg,)* .. } = self;
                    $body
                }
            }

            #[inline]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            pub(crate) fn at<'a>(level: $crate::level::Level, $($arg: $ty),*) -> kernel!(@out $($out)?) {
                $crate::dispatch::dispatch(level, Args { $($arg,)* _slices: std::marker::PhantomData })
            }
        }
    };
    (@out) => { () };
    (@out $out:ty) => { $out };
}
pub(crate) use kernel;
