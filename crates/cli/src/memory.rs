//! Memory of the machine and of a part of the program, where the system reports it (Linux).

/// Forgets the peak so far, so that [`peak_mib`] covers only what follows.
pub fn reset_peak() {
    // proc(5): writing 5 sets the peak resident set size to the present one.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Returns the largest resident set since [`reset_peak`], in MiB.
pub fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

/// Returns the memory that the program may use, in bytes: the machine's, or less where a control
/// group allows less.
pub fn usable_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    // The file is absent or says `max` where there is no limit.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok());
    Some((kib * 1024).min(limit.unwrap_or(u64::MAX)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_covers_what_was_allocated_since_the_reset() {
        reset_peak();
        let before = peak_mib().unwrap();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(peak_mib().unwrap() >= before + 60, "{} MiB held", block.len() >> 20);
    }
}
