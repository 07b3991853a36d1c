//! The allocator of the program, and what it keeps.
//!
//! A crate of its own: the compiler puts the way to the allocator where it is named, and optimises it as it does that crate. The program itself is
//! optimised for size, and this is gone some hundred times a request.

// The system's own keeps what a burst took; this one gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is freed is looked for ten times as often, and memory comes in small pages. By default the allocator gives a burst's memory back only with
/// thousands of further allocations, and asks for pages of 2 MiB, most of each unused in a small process: 35 MB at rest in place of 22 (x86-64, one
/// worker, 2026-11). To give each page back at once (`MIMALLOC_PURGE_DELAY=0`) costs a quarter of a small request's time; these cost nothing
/// that could be measured.
///
/// Large pieces that are free go back to the system at once, by the thread that frees them. By default that is put off, and done by whichever
/// thread looks for memory next: after a roster of a million keys was replaced a worker gave back some 100 MiB in the middle of a request,
/// which took it up to 24 ms (src/arena.c of mimalloc 2, `mi_arenas_try_purge`, read 2026-11-26; seen with perf).
const SETTINGS: [(&str, &str); 3] = [
    ("MIMALLOC_GENERIC_COLLECT", "1000"),
    ("MIMALLOC_ALLOW_THP", "0"),
    ("MIMALLOC_ARENA_PURGE_MULT", "0"),
];

/// Begins the program again with these settings, unless they are set. The allocator reads them from nowhere but the environment,
/// before `main`; to set them otherwise takes unsafe code. The process stays the same, with its number and its open files.
#[cfg(unix)]
pub fn settle() {
    use std::os::unix::process::CommandExt as _;

    #[expect(
        clippy::disallowed_methods,
        reason = "not a setting of this program: whoever sets one has their way"
    )]
    let unset = |(name, _): &&(&str, &str)| std::env::var_os(name).is_none();
    if SETTINGS.iter().filter(unset).count() == 0 {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("ld-") || name.starts_with("ld.") {
        // Started by naming the loader, which would take the configuration for the program.
        return;
    }
    let mut again = std::process::Command::new(program);
    let mut args = std::env::args_os();
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    again
        .args(args)
        .envs(SETTINGS.iter().filter(unset).copied());
    // It returns only where it failed; then more is held than need be, and all else is the same.
    drop(again.exec());
}

#[cfg(not(unix))]
pub fn settle() {}
