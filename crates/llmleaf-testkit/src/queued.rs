//! How long threads stood ready while other work had the processors. On a machine that is too busy a bound on time would judge the
//! machine: what was waited so is taken off, as Linux tells it to the nanosecond, and the bound itself stays as strict as it is.
//!
//! Where the system does not tell, nothing is taken off.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A thread, for others to ask of it.
#[derive(Clone, Debug, Default)]
pub struct Thread(PathBuf);

impl Thread {
    /// The one that runs this.
    #[must_use]
    pub fn own() -> Self {
        // A path below /proc: its own name is another one for each who reads it.
        let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        Thread(Path::new("/proc").join(link))
    }

    /// How long it stood so, up to now.
    #[must_use]
    pub fn queued(&self) -> Duration {
        told(&self.0)
    }
}

/// How long all threads of a process stood so, up to now.
#[must_use]
pub fn process(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    threads.map(|thread| told(&thread.path())).sum()
}

/// The second figure of three (Linux, Documentation/scheduler/sched-stats.rst, as of 6.18).
fn told(thread: &Path) -> Duration {
    let text = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let waited = text.split_whitespace().nth(1);
    Duration::from_nanos(waited.and_then(|text| text.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_stood_for_as_long_as_its_threads() {
        let own = Thread::own();
        let before = own.queued();
        std::thread::yield_now();
        let after = own.queued();
        assert!(before <= after && after <= process(std::process::id()));
        let system_tells = Path::new("/proc/self/schedstat").exists();
        assert_eq!(after > Duration::ZERO, system_tells, "{own:?}");
        assert_eq!(Thread::default().queued(), Duration::ZERO);
    }
}
