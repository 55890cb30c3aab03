//! Compiles one body for three instruction sets and picks one at run time.

/// An instruction set. A value other than `Portable` proves that this CPU has it, since only
/// detection makes the tokens inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// AVX-512 F, BW, DQ, VL.
    Avx512(HasAvx512),
    /// AVX2 and FMA.
    Avx2(HasAvx2),
    /// The baseline of the target.
    Portable,
}

/// Proves AVX-512. Only [`levels`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HasAvx512(());

/// Proves AVX2 and FMA. Only [`levels`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HasAvx2(());

/// Returns the best instruction set of this CPU.
#[inline]
pub fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = limit::get() {
        return level;
    }
    static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(|| levels()[0])
}

/// Returns the instruction sets of this CPU, best first.
fn levels() -> Vec<Level> {
    let mut levels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        let is_avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if is_avx512 {
            levels.push(Level::Avx512(HasAvx512(())));
        }
        levels.push(Level::Avx2(HasAvx2(())));
    }
    levels.push(Level::Portable);
    levels
}

/// Multiply-add, fused only if `FMA` says that the instruction exists: otherwise `mul_add` is a
/// library call.
#[inline(always)]
pub fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Compiles a body for each [`Level`] and defines a function that calls the right one. The body may
/// use the constant `FMA`. Its loops are plain Rust, which the compiler vectorises for each level.
macro_rules! simd {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    )*) => { $(
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<const FMA: bool>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body::<true>($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body::<true>($($arg),*) }
                match $crate::simd::level() {
                    // SAFETY: `HasAvx512` exists only where the CPU has these features.
                    $crate::simd::Level::Avx512(_) => return unsafe { avx512($($arg),*) },
                    // SAFETY: `HasAvx2` exists only where the CPU has these features.
                    $crate::simd::Level::Avx2(_) => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Portable => {}
                }
            }
            body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    )* };
}
pub(crate) use simd;

/// Lets a test run at a lower level than the CPU's.
#[cfg(test)]
pub mod limit {
    use super::{Level, levels};
    use std::cell::Cell;

    thread_local! {
        static LIMIT: Cell<Option<Level>> = const { Cell::new(None) };
    }

    pub fn get() -> Option<Level> {
        LIMIT.get()
    }

    /// Returns the results of `run` at each level of this CPU, on two threads of its own. The
    /// portable level comes last.
    pub fn at_each_level<T: Send>(run: impl Fn() -> T + Sync) -> Vec<(Level, T)> {
        let at = |level| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(2)
                .start_handler(move |_| LIMIT.set(Some(level)))
                .build()
                .expect("a pool of two threads");
            (level, pool.install(&run))
        };
        levels().into_iter().map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_thread_sees_its_limit_and_others_the_best() {
        let runs = limit::at_each_level(|| rayon::broadcast(|_| level()));
        assert_eq!(runs[0].0, level());
        assert!(matches!(runs.last(), Some((Level::Portable, _))));
        for (limit, seen) in runs {
            assert_eq!(seen, [limit; 2]);
        }
    }
}
