//! What every program tells of itself, by the names that Prometheus' own clients use (<https://prometheus.io/docs/instrumenting/writing_clientlibs/>,
//! "Process metrics", read 2026-11). The system says it in files (`proc_pid_stat(5)`); where it has none, nothing is told.

use super::names;
use crate::app::App;
use llmleaf_metrics::Text;
use rustix::process::{Resource, getrlimit};
use std::fs::{read_dir, read_to_string};

/// What the system says of this process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    ticks: u64,
    threads: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Reads a line of `/proc/<pid>/stat`.
fn stat(line: &str) -> Option<Stat> {
    // The second field is the program's name, in which anything may stand.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // Numbers of fields as the manual has them; the third is the first one here.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        ticks: field(14)?.checked_add(field(15)?)?,
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// Tells it.
pub fn tell(app: &App, text: &mut Text) {
    let stat = read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().and_then(self::stat);
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
    let mut cpu = text.family(&names::PROCESS_CPU);
    if let Some(stat) = &stat {
        let millis = stat.ticks.saturating_mul(1000) / ticks;
        cpu.parts(&[], millis, 1000);
    }
    let mut of = |family, value: Option<u64>| {
        let mut samples = text.family(family);
        if let Some(value) = value {
            samples.whole(&[], value);
        }
    };
    let resident = stat.as_ref().map(|s| s.resident_pages.saturating_mul(page));
    of(&names::PROCESS_RESIDENT, resident);
    of(
        &names::PROCESS_VIRTUAL,
        stat.as_ref().map(|s| s.virtual_bytes),
    );
    of(&names::PROCESS_THREADS, stat.as_ref().map(|s| s.threads));
    // The folder that is being read is one of them.
    let open = read_dir("/proc/self/fd").map(|all| (all.count() as u64).saturating_sub(1));
    of(&names::PROCESS_OPEN_FDS, open.ok());
    of(&names::PROCESS_MAX_FDS, getrlimit(Resource::Nofile).current);
    of(&names::PROCESS_START, Some(app.started));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_anything_in_it_moves_no_field() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194304 900 0 0 0 120 34 0 0 20 0 5 0 12345 123456789 2048 184467 1 1 0";
        let read = Stat {
            ticks: 154,
            threads: 5,
            virtual_bytes: 123_456_789,
            resident_pages: 2048,
        };
        assert_eq!(stat(line), Some(read));
        assert_eq!(stat("7 (a) S 1"), None);
    }
}
