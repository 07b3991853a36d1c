//! How long threads stood ready while other work had the processors. On a machine that is too busy a bound on time would judge the
//! machine: what was waited so is taken off, as Linux tells it to the nanosecond, and the bound itself stays as strict as it is.
//!
//! Where the system does not tell, nothing is taken off. How long a thread ran is told in the same place.

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

    /// One of a process, by its name.
    #[must_use]
    pub fn named(pid: u32, name: &str) -> Self {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let paths = threads
            .into_iter()
            .flatten()
            .flatten()
            .map(|one| one.path());
        let is_it = |path: &PathBuf| {
            let told = std::fs::read_to_string(path.join("comm"));
            told.is_ok_and(|told| told.trim() == name)
        };
        Thread(paths.into_iter().find(is_it).unwrap_or_default())
    }

    /// How long it stood so, up to now.
    #[must_use]
    pub fn queued(&self) -> Duration {
        told(&self.0).1
    }

    /// How long it ran, up to when it last went off a processor, or nearly.
    #[must_use]
    pub fn ran(&self) -> Duration {
        told(&self.0).0
    }
}

/// How long all threads of a process stood so, up to now.
#[must_use]
pub fn process(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    threads.map(|thread| told(&thread.path()).1).sum()
}

/// How long it ran, and how long it stood ready: the first two figures of three (Linux, Documentation/scheduler/sched-stats.rst, as of 6.18).
fn told(thread: &Path) -> (Duration, Duration) {
    parsed(&std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default())
}

fn parsed(schedstat: &str) -> (Duration, Duration) {
    let mut figures = schedstat.split_whitespace().map(str::parse);
    let mut next = || Duration::from_nanos(figures.next().and_then(Result::ok).unwrap_or(0));
    (next(), next())
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
        assert!(own.ran() > Duration::ZERO || own.0 == PathBuf::new());
        assert!(before <= after && after <= process(std::process::id()));
        assert_eq!(Thread::default().queued(), Duration::ZERO);
        let none = Thread::named(std::process::id(), "nobody");
        assert_eq!(none.queued(), Duration::ZERO);
    }

    #[test]
    fn what_was_waited_is_the_second_figure_and_what_it_ran_the_first() {
        assert_eq!(
            parsed("51 1700 3\n"),
            (Duration::from_nanos(51), Duration::from_nanos(1700))
        );
        assert_eq!(parsed(""), Default::default());
        // A thread of a quiet machine may never have waited; that the system tells is that there are three figures.
        let path = Thread::own().0.join("schedstat");
        if let Ok(text) = std::fs::read_to_string(path) {
            assert_eq!(text.split_whitespace().count(), 3, "{text}");
        }
    }
}
