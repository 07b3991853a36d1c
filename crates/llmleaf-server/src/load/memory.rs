//! How much memory the process uses, and may use. The system tells that in files; where it has none of these, nothing is
//! known and nothing is turned away.

use super::Load;
use std::fs::read_to_string;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often memory is looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// Limits above this are what the system writes where it has none.
const NO_LIMIT: u64 = 1 << 60;

/// Looks at memory until the load is gone, on a thread of its own: it must see what happens while workers are busy.
///
/// # Errors
/// There is no thread for it.
pub fn watch(load: &Arc<Load>) -> std::io::Result<()> {
    if load.memory_ceiling().is_none() {
        return Ok(());
    }
    let load = Arc::downgrade(load);
    let thread = std::thread::Builder::new().name("memory".to_owned());
    thread.spawn(move || look(&load)).map(drop)
}

fn look(load: &Weak<Load>) {
    while let Some(load) = load.upgrade() {
        if let Some(used) = used() {
            load.note(used);
        }
        drop(load);
        std::thread::sleep(PAUSE);
    }
}

/// Bytes of memory that this process holds (`proc_pid_statm(5)`).
fn used() -> Option<u64> {
    let statm = read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    u64::try_from(rustix::param::page_size())
        .ok()?
        .checked_mul(pages)
}

/// The limit of the control group that the process runs in, as container engines and systemd set it (`cgroups(7)`).
pub fn of_control_group() -> Option<u64> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let path = path.trim_start_matches('/');
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        // Inside a container the group's own folder is the root.
        [Path::new(root).join(path), root.into()]
            .iter()
            .find_map(|folder| read_to_string(folder.join(name)).ok())?
            .trim()
            .parse::<u64>()
            .ok()
    });
    limits.filter(|limit| *limit < NO_LIMIT).min()
}
