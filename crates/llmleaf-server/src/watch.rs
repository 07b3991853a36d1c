//! Looking after the configuration's files: have they changed?
//!
//! Files are looked at by name every few seconds: no descriptor is held, so a file that is replaced, a symbolic link that is
//! turned elsewhere (as Kubernetes does with mounted ones), and a folder that is moved are all seen. What has changed is
//! told when two looks in a row agree, so that a file that is being written is left alone until it is done.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What tells one state of a file from another; `None` where there is no file.
type Mark = Option<(u64, u64, u64, i64, i64)>;

/// Some files and how they looked last.
pub struct Watcher {
    every: Duration,
    /// When the last look was.
    looked: Instant,
    files: Vec<(PathBuf, Mark)>,
    /// How they looked when a change was first seen, until it is told.
    changing: Option<Vec<Mark>>,
}

impl Watcher {
    /// Looks at these files, and then as often as that. Never, where that is zero.
    pub fn new(every: Duration, files: impl IntoIterator<Item = PathBuf>) -> Self {
        let files = files.into_iter().map(|path| {
            let mark = look(&path);
            (path, mark)
        });
        Self {
            every,
            looked: Instant::now(),
            files: files.collect(),
            changing: None,
        }
    }

    /// Watches these from now on. A file that was watched before is compared with what was seen of it then.
    pub fn watch(&mut self, every: Duration, files: impl IntoIterator<Item = PathBuf>) {
        let known = std::mem::take(&mut self.files);
        let files = files.into_iter().map(|path| {
            let seen = known.iter().find(|(name, _)| *name == path);
            let mark = seen.map_or_else(|| look(&path), |(_, mark)| *mark);
            (path, mark)
        });
        self.files = files.collect();
        self.every = every;
    }

    /// Waits until a file has changed and is at rest again; returns those that have changed. Dropping this loses nothing.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        if self.every.is_zero() {
            return std::future::pending().await;
        }
        loop {
            sleep_until(self.looked + self.every).await;
            self.looked = Instant::now();
            let changed = self.look();
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// One look. Empty while nothing has changed, or something still changes.
    fn look(&mut self) -> Vec<PathBuf> {
        let marks: Vec<Mark> = self.files.iter().map(|(path, _)| look(path)).collect();
        if self.files.iter().map(|(_, mark)| mark).eq(&marks) {
            self.changing = None;
            return Vec::new();
        }
        if self.changing.as_ref() != Some(&marks) {
            self.changing = Some(marks);
            return Vec::new();
        }
        self.changing = None;
        let mut changed = Vec::new();
        for ((path, seen), mark) in self.files.iter_mut().zip(marks) {
            if *seen != mark {
                *seen = mark;
                changed.push(path.clone());
            }
        }
        changed
    }
}

fn look(path: &Path) -> Mark {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("llmleaf-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).expect("a file");
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn watcher(path: &Path) -> Watcher {
        Watcher::new(Duration::from_secs(2), [path.to_owned()])
    }

    #[test]
    fn g8_a_change_is_told_when_it_is_at_rest() {
        let folder = Folder::new("watch-rest");
        let path = folder.write("a", "one");
        let mut watcher = watcher(&path);
        assert!(watcher.look().is_empty());
        folder.write("a", "one and");
        assert!(watcher.look().is_empty(), "it may still be written");
        folder.write("a", "one and two");
        assert!(watcher.look().is_empty(), "and it was");
        assert_eq!(watcher.look(), [path]);
        assert!(watcher.look().is_empty(), "told once");
    }

    #[test]
    fn g8_a_file_that_is_gone_or_replaced_has_changed() {
        let folder = Folder::new("watch-gone");
        let path = folder.write("a", "one");
        let mut watcher = watcher(&path);
        std::fs::remove_file(&path).expect("removed");
        assert!(watcher.look().is_empty());
        assert_eq!(watcher.look(), [path.as_path()]);
        let other = folder.write("b", "two");
        std::fs::rename(other, &path).expect("moved");
        assert!(watcher.look().is_empty());
        assert_eq!(watcher.look(), [path]);
    }

    #[test]
    fn g8_a_link_that_leads_elsewhere_has_changed() {
        let folder = Folder::new("watch-link");
        let (one, two) = (folder.write("one", "same"), folder.write("two", "same"));
        let link = folder.0.join("link");
        std::os::unix::fs::symlink(one, &link).expect("a link");
        let mut watcher = watcher(&link);
        let turned = folder.0.join("turned");
        std::os::unix::fs::symlink(two, &turned).expect("a link");
        std::fs::rename(&turned, &link).expect("turned");
        assert!(watcher.look().is_empty());
        assert_eq!(watcher.look(), [link]);
    }
}
