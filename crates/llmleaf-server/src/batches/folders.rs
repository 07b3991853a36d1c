//! Folders that are there as a whole or not at all, each under its id: what is being written, or forgotten, is hidden.

use super::journal::private;
use serde::Deserialize;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How old a folder is that nobody finishes writing any more.
const STALE: Duration = Duration::from_secs(3600);

/// Writes a folder as a whole: beside, then in its place, then until the disk has it. Where any of that fails there is nothing of it.
pub fn place(
    root: &Path,
    id: &str,
    sync: impl FnOnce(&Path) -> io::Result<()>,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let (beside, own) = (hidden(root, id), root.join(id));
    folder(&beside)?;
    let done = write(&beside).and_then(|()| fs::rename(&beside, &own));
    if done.is_err() {
        let _ = fs::remove_dir_all(&beside);
        return done;
    }
    sync(root).inspect_err(|_| {
        // Whoever handed it over is told that it was not taken. Out of sight first: a part of it must not be found.
        let _ = fs::rename(&own, &beside);
        let _ = fs::remove_dir_all(&beside);
    })
}

/// Waits until the disk has the names in a folder.
pub fn synced(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder for its owner alone.
pub fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A file for its owner alone, empty.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    options.open(path)
}

/// What a file says; `None` where it is not there, or says something else.
pub fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Removes what was never finished being written, or being forgotten: whoever did is gone.
pub fn sweep_hidden(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // A folder is as old as its last name; a file in it may be written for hours.
        let inside = fs::read_dir(entry.path()).into_iter().flatten().flatten();
        let all = std::iter::once(entry.metadata()).chain(inside.map(|file| file.metadata()));
        let newest = all
            .map(|data| data.and_then(|data| data.modified()))
            .max_by_key(|at| {
                // What cannot be looked at is not thought old.
                at.as_ref().map_or(SystemTime::now(), |at| *at)
            });
        let is_old = |at: SystemTime| at.elapsed().is_ok_and(|age| age > STALE);
        if hidden && newest.is_some_and(|at| at.is_ok_and(is_old)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Those that are there. Ids begin with their time, so the oldest is first.
pub fn ids(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut ids: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    ids.sort();
    ids
}

/// Where one is while it is written, or forgotten.
pub fn hidden(root: &Path, id: &str) -> PathBuf {
    root.join(format!(".{id}"))
}

/// Forgets one. It goes out of sight first, so that nobody sees a part of it.
pub fn remove(root: &Path, id: &str) -> io::Result<()> {
    let hidden = hidden(root, id);
    fs::rename(root.join(id), &hidden)?;
    fs::remove_dir_all(&hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_is_not_swept_however_long_that_takes() {
        let name = format!("llmleaf-sweep-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let old = SystemTime::now() - 2 * STALE;
        for (id, written) in [(".left", old), (".written", SystemTime::now())] {
            let beside = root.join(id);
            folder(&beside).expect("a folder");
            let file = File::create(beside.join("lines.jsonl")).expect("a file");
            file.set_modified(written).expect("a time");
            let beside = File::open(beside).expect("a folder");
            beside.set_modified(old).expect("a time");
        }
        sweep_hidden(&root);
        let left = root.join(".left").exists();
        let written = root.join(".written/lines.jsonl").exists();
        fs::remove_dir_all(root).expect("it goes");
        assert!(!left && written);
    }

    #[test]
    fn what_the_disk_did_not_take_was_not_taken() {
        let name = format!("llmleaf-store-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        folder(&root).expect("a folder");
        let write = |beside: &Path| fs::write(beside.join("order.json"), "{}");
        let fails = |_: &Path| Err(io::Error::other("the disk is gone"));
        let found = || fs::read_dir(&root).expect("a folder").count();
        assert!(place(&root, "a", fails, write).is_err());
        assert_eq!(found(), 0, "nobody finds it, and runs it all the same");
        let half = |beside: &Path| write(beside).and_then(|()| fails(beside));
        assert!(place(&root, "b", synced, half).is_err());
        assert_eq!(found(), 0);
        assert!(place(&root, "c", synced, write).is_ok());
        assert!(root.join("c/order.json").exists());
        fs::remove_dir_all(root).expect("it goes");
    }
}
