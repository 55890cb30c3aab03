//! mimalloc, which keeps freed pages for a while.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's `mi_option_purge_delay`, the same in versions 2 and 3. The sys crate does not name
/// it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const PURGE_DELAY_MS: core::ffi::c_long = 60_000;

/// Keeps freed pages for a minute instead of 1 s. A training step frees buffers and soon asks for
/// the same again. Returning them to the system in between costs about a tenth of its time, because
/// the system clears every page that it hands out.
pub fn keep_freed_pages() {
    // SAFETY: the call stores a number in a table of options, which mimalloc allows at any time.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) }
}

/// Returns freed pages at once, as far as the calling thread may.
pub fn return_freed_pages() {
    // SAFETY: a collection may be asked for at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_purge_delay() {
        // SAFETY: reads a number from a table of options.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(
            delay(),
            1000,
            "the default of the purge delay: another number would be another option"
        );
        keep_freed_pages();
        assert_eq!(delay(), PURGE_DELAY_MS);
    }
}
