//! What the user reads after Ctrl-C: where the program stood and how to resume.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

/// The part in progress, for whoever ends the program in the middle of it.
static NOW: Mutex<Option<Standing>> = Mutex::new(None);

/// What a program does at the first signal in place of dying of it.
static INSTEAD: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

struct Standing {
    part: String,
    done: u64,
    total: Option<u64>,
    unit: String,
}

impl Standing {
    fn line(&self) -> String {
        let of = match self.total {
            Some(total) => format!("{} of {total} {}", self.done, self.unit),
            None => format!("{} {}", self.done, self.unit),
        };
        format!("stopped in `{}` at {of}; run the same command again to resume", self.part)
    }
}

/// Notes that a part begins.
pub fn begins(part: &str, total: Option<u64>, unit: &str) {
    let (part, unit) = (part.to_owned(), unit.to_owned());
    set(Some(Standing { part, done: 0, total, unit }));
}

/// Notes that `count` more units are done.
pub fn advances(count: u64) {
    if let Some(now) = NOW.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).as_mut() {
        now.done += count;
    }
}

/// Notes that the part is over.
pub fn ends() {
    set(None);
}

fn set(now: Option<Standing>) {
    *NOW.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = now;
}

/// Has the first signal call `stop`, for a program that ends in its own time. The second signal ends
/// the program at once.
pub fn instead(stop: impl FnOnce() + Send + 'static) {
    *INSTEAD.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(Box::new(stop));
}

/// Starts a thread that waits for Ctrl-C (SIGINT) and SIGTERM. It says where the program stands and
/// lets it die of the signal, so that shells see what happened. Call it before any other thread
/// starts: later ones inherit that they do not get these signals.
#[cfg(unix)]
pub fn watch() {
    let signals = unix::wanted();
    if unix::mask(libc::SIG_BLOCK, &signals) {
        std::thread::spawn(move || {
            let Some(mut signal) = unix::wait(&signals) else { return };
            let instead = INSTEAD.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
            if let Some(stop) = instead {
                stop();
                let Some(second) = unix::wait(&signals) else { return };
                signal = second;
            }
            tell();
            unix::mask(libc::SIG_UNBLOCK, &signals);
            unix::die_of(signal);
        });
    }
}

#[cfg(not(unix))]
pub fn watch() {}

/// Writes the line, if a part is in progress. Nobody may be left to read it.
fn tell() {
    // The thread that holds the lock may be about to end the part: then there is nothing to say.
    let Ok(now) = NOW.try_lock() else { return };
    if let Some(standing) = now.as_ref() {
        let mut stderr = std::io::stderr();
        // Below the bar and the terminal's own ^C.
        let start = if stderr.is_terminal() { "\n" } else { "" };
        let _ = writeln!(stderr, "{start}{}", standing.line());
    }
}

#[cfg(unix)]
mod unix {
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    /// The signals that would end the program. One that it was told to ignore, as `nohup` and
    /// shells do for jobs in the background, stays ignored.
    pub fn wanted() -> libc::sigset_t {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set behind the pointer, so that it is initialised
        // for sigaddset and assume_init. Both fail only for signals that do not exist.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in [libc::SIGINT, libc::SIGTERM] {
                if !is_ignored(signal) {
                    libc::sigaddset(set.as_mut_ptr(), signal);
                }
            }
            set.assume_init()
        }
    }

    fn is_ignored(signal: libc::c_int) -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: with no new action the call only writes the present one, and assume_init follows
        // only where it did.
        unsafe {
            libc::sigaction(signal, null_mut(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_IGN
        }
    }

    /// Blocks or unblocks signals in this thread. Returns whether that worked.
    pub fn mask(how: libc::c_int, signals: &libc::sigset_t) -> bool {
        // SAFETY: the set is initialised, and the third argument may be null.
        unsafe { libc::pthread_sigmask(how, signals, null_mut()) == 0 }
    }

    /// Waits for one of these signals, which must be blocked.
    pub fn wait(signals: &libc::sigset_t) -> Option<libc::c_int> {
        let mut signal = 0;
        // SAFETY: the set is initialised, and the second pointer is to an integer.
        (unsafe { libc::sigwait(signals, &mut signal) } == 0).then_some(signal)
    }

    /// Sends this thread a signal whose default is to end the program.
    pub fn die_of(signal: libc::c_int) {
        // SAFETY: raise has no preconditions.
        unsafe { libc::raise(signal) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_where_the_program_stood_and_how_to_resume() {
        let standing = |total| {
            let (part, unit) = ("train".to_owned(), "steps".to_owned());
            Standing { part, done: 150, total, unit }.line()
        };
        let resume = "run the same command again to resume";
        assert_eq!(
            standing(Some(2000)),
            format!("stopped in `train` at 150 of 2000 steps; {resume}")
        );
        assert_eq!(standing(None), format!("stopped in `train` at 150 steps; {resume}"));
    }
}
