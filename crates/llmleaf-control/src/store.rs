//! The last good snapshot of each kind, in files: what a node begins with while its controller does not answer.
//!
//! A file is written beside and moved into place, and holds the digest of what it has, so that half of one is none. When it was
//! confirmed last is the file's own time.

use crate::pull::Stamp;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A folder with the last good snapshots.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    writing: Writing,
}

/// Who writes, one at a time, over all stores of a process.
pub type Writing = Arc<Mutex<()>>;

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct Head {
    form: u32,
    /// Of where it comes from: what another controller said counts for nothing.
    address: String,
    digest: String,
    etag: Option<String>,
    version: Option<String>,
    size: usize,
}

/// The form of the files.
const FORM: u32 = 1;
/// Longest first line, in bytes.
const MAX_HEAD: usize = 4096;
/// How far in the future a file's time may lie.
const SET_BACK: Duration = Duration::from_secs(60);

/// What a file held.
#[derive(Debug)]
pub struct Kept {
    /// What the controller wrote.
    pub body: Vec<u8>,
    /// What went with it.
    pub stamp: Stamp,
    /// How long ago it was confirmed; `None` where the file is of a time to come, so that a clock was wrong then or is now.
    pub age: Option<Duration>,
}

impl Store {
    /// In that folder, which need not be there yet.
    pub fn new(folder: PathBuf, writing: Writing) -> Self {
        Self { folder, writing }
    }

    /// The turn to write.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.writing.lock()
    }

    fn path(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{what}.snapshot"))
    }

    /// What is kept of that kind and comes from there.
    ///
    /// # Errors
    /// There is something, and it cannot be used.
    pub fn load(&self, what: &str, address: [u8; 32], limit: usize) -> io::Result<Option<Kept>> {
        let mut file = match File::open(self.path(what)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        let most = (limit as u64).saturating_add(MAX_HEAD as u64);
        let broken = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        if meta.len() > most {
            return Err(broken("it is too large"));
        }
        let mut all = Vec::new();
        Read::take(&mut file, most).read_to_end(&mut all)?;
        let end = all.iter().take(MAX_HEAD).position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| broken("it has no first line"))?;
        let body = all.split_off(end + 1);
        let head: Head =
            serde_json::from_slice(&all).map_err(|_| broken("its first line is none"))?;
        if head.form != FORM || head.address != hex(&address) {
            return Ok(None);
        }
        if head.digest != hex(&Sha256::digest(&body)) {
            return Err(broken("it is not what was written"));
        }
        let age = meta.modified().ok().and_then(age);
        Ok(Some(Kept {
            body,
            stamp: Stamp {
                etag: head.etag,
                version: head.version.and_then(|text| text.parse().ok()),
                size: head.size,
            },
            age,
        }))
    }

    /// Keeps what is in effect, and was confirmed at that time.
    ///
    /// # Errors
    /// It cannot be written; what was kept before stays.
    pub fn save(
        &self,
        what: &str,
        address: [u8; 32],
        stamp: &Stamp,
        body: &[u8],
        at: SystemTime,
    ) -> io::Result<()> {
        let head = Head {
            form: FORM,
            address: hex(&address),
            digest: hex(&Sha256::digest(body)),
            etag: stamp.etag.clone(),
            version: stamp.version.map(|version| version.to_string()),
            size: stamp.size,
        };
        let mut line = serde_json::to_vec(&head).map_err(io::Error::other)?;
        line.push(b'\n');
        fs::create_dir_all(&self.folder)?;
        let beside = self.folder.join(format!("{what}.new"));
        let written = write(&beside, &line, body, at);
        written.and_then(|()| fs::rename(&beside, self.path(what)))
    }

    /// What is kept was confirmed again at that time.
    ///
    /// # Errors
    /// The file's time cannot be set.
    pub fn confirm(&self, what: &str, at: SystemTime) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(what))?;
        file.set_modified(at)
    }
}

/// How long ago that was. Clocks are set back by a little now and then, which is no reason to doubt it.
fn age(at: SystemTime) -> Option<Duration> {
    match SystemTime::now().duration_since(at) {
        Ok(age) => Some(age),
        Err(ahead) => (ahead.duration() <= SET_BACK).then_some(Duration::ZERO),
    }
}

/// Only its owner may read it: it has the hashes of passwords.
fn write(path: &Path, line: &[u8], body: &[u8], at: SystemTime) -> io::Result<()> {
    // One that was left behind may have other permissions.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(line)?;
    file.write_all(body)?;
    // Writing may have taken long.
    file.set_modified(at)?;
    file.sync_all()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("llmleaf-store-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_kept_is_found_again_and_only_by_who_wrote_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new("kept");
        let store = Store::new(folder.0.join("deeper"), Writing::default());
        assert!(
            store
                .load("identity", [1; 32], 100)
                .expect("nothing")
                .is_none()
        );
        let stamp = Stamp {
            etag: Some("\"a\"".into()),
            version: "2.7".parse().ok(),
            size: 3,
        };
        store
            .save(
                "identity",
                [1; 32],
                &stamp,
                b"{\"keys\":[]}\n",
                SystemTime::now(),
            )
            .expect("kept");
        let kept = store
            .load("identity", [1; 32], 100)
            .expect("read")
            .expect("kept");
        assert_eq!(
            (kept.body.as_slice(), kept.stamp),
            (&b"{\"keys\":[]}\n"[..], stamp)
        );
        assert!(
            store
                .load("identity", [2; 32], 100)
                .expect("read")
                .is_none()
        );
        assert!(
            store
                .load("verdicts", [1; 32], 100)
                .expect("read")
                .is_none()
        );
        let meta = fs::metadata(store.path("identity")).expect("a file");
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        store
            .confirm("identity", SystemTime::now())
            .expect("confirmed");
        let aged = |at: SystemTime| {
            let file = OpenOptions::new().write(true).open(store.path("identity"));
            file.and_then(|file| file.set_modified(at)).expect("set");
            let kept = store.load("identity", [1; 32], 100).expect("read");
            kept.expect("kept").age
        };
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        assert!(aged(now - hour).expect("known") >= hour);
        assert_eq!(aged(now + Duration::from_secs(30)), Some(Duration::ZERO));
        assert_eq!(aged(now + hour), None, "nobody knows how old it is");
    }

    /// Every file that is cut, and every one with a changed byte in its body, is refused.
    #[test]
    fn half_of_a_file_is_none() {
        let folder = Folder::new("half");
        let store = Store::new(folder.0.clone(), Writing::default());
        store
            .save(
                "identity",
                [1; 32],
                &Stamp::default(),
                b"body",
                SystemTime::now(),
            )
            .expect("kept");
        let path = store.path("identity");
        let whole = fs::read(&path).expect("a file");
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("written");
            assert!(store.load("identity", [1; 32], 100).is_err(), "{length}");
        }
        let mut other = whole.clone();
        *other.last_mut().expect("a byte") ^= 1;
        fs::write(&path, other).expect("written");
        assert!(store.load("identity", [1; 32], 100).is_err());
        fs::write(&path, whole).expect("written");
        assert!(
            store
                .load("identity", [1; 32], 100)
                .is_ok_and(|kept| kept.is_some())
        );
    }
}
