//! The real program as a child process.
//!
//! ```ignore
//! let leaf = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &format!(
//!     "[server]\nlisten = \"127.0.0.1:0\"\n\n[[providers]]\nname = \"fake\"\nendpoint = \"{}/v1\"\n…", replay.url(),
//! )).start();
//! let response = http::post(leaf.addr, "/v1/chat/completions", &[], body);
//! ```

mod watched;

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::json::{self, Value};
use crate::leaks::Watch;
use crate::replay::Signal;
use watched::Watched;

/// Says what is logged.
pub(crate) const LOG: &str = "LLMLEAF_LOG";

/// How long the program may take to say where it listens, unless a test says otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A program about to be started.
pub struct Setup {
    exe: PathBuf,
    config: String,
    files: Vec<(String, String)>,
    args: Vec<OsString>,
    envs: Vec<(String, String)>,
    timeout: Duration,
}

/// The running program; killed when dropped. That fails the test where a [secret got out](crate::leaks).
pub struct Llmleaf {
    /// Where it listens.
    pub addr: SocketAddr,
    child: Child,
    log: Log,
    readers: Vec<JoinHandle<()>>,
    folder: Folder,
    watched: Watched,
}

type Log = Arc<Signal<LogState>>;

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    ended: bool,
}

/// The program that a test plays: its own, or the one at the path in `LLMLEAF_BIN`, so that a release build is measured by tests that are
/// not one themselves.
#[must_use]
pub fn played(exe: &str) -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "which program a test plays is asked of it from outside"
    )]
    let other = std::env::var_os("LLMLEAF_BIN");
    other.map_or_else(|| exe.into(), PathBuf::from)
}

impl Llmleaf {
    /// Prepares the program at `exe` (in an integration test `env!("CARGO_BIN_EXE_llmleaf")`) with a config file of this
    /// text, which should say `listen = "127.0.0.1:0"`.
    ///
    /// It is run as `llmleaf FILE`, with `LLMLEAF_CONFIG` set to the same file, in a folder of its own.
    #[must_use]
    pub fn with_config(exe: impl AsRef<Path>, config: &str) -> Setup {
        Setup {
            exe: exe.as_ref().to_owned(),
            config: config.to_owned(),
            files: Vec::new(),
            args: vec!["{config}".into()],
            envs: Vec::new(),
            timeout: START_TIMEOUT,
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The folder it runs in, removed when this is dropped.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Puts another text in the place of its config file, in one step.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_config(&self, text: &str) {
        self.watched.learn(text);
        let (new, config) = (self.folder.0.join("new.toml"), self.config_path());
        std::fs::write(&new, text).expect("the config can be written");
        std::fs::rename(new, config).expect("the config can be replaced");
    }

    /// Its config file.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.folder.0.join("llmleaf.toml")
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stderr so far, by lines.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.read(|state| state.lines.clone())
    }

    /// What it wrote since the last call, for tests with much of it: [`Llmleaf::log`] and its kin forget it.
    #[must_use]
    pub fn take_log(&self) -> Vec<String> {
        self.log.update(|state| std::mem::take(&mut state.lines))
    }

    /// The log lines that are JSON objects, such as usage records.
    #[must_use]
    pub fn log_json(&self) -> Vec<Value> {
        let lines = self.log();
        lines
            .iter()
            .filter(|line| line.starts_with('{'))
            .filter_map(|line| json::parse(line).ok())
            .collect()
    }

    /// Waits until there are `count` log lines that match and returns all that do; `None` after the timeout.
    #[must_use]
    pub fn wait_lines(
        &self,
        count: usize,
        timeout: Duration,
        matches: impl Fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        self.log.wait(timeout, |state| {
            let lines = state.lines.iter();
            let found: Vec<String> = lines.filter(|line| matches(line)).cloned().collect();
            (found.len() >= count).then_some(found)
        })
    }

    /// Resident memory in KiB, where the system tells.
    #[must_use]
    pub fn resident_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Open file descriptors, where the system tells.
    #[must_use]
    pub fn open_files(&self) -> Option<usize> {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).ok()?;
        Some(folder.count())
    }

    /// How long it stood by for a processor so far.
    #[must_use]
    pub fn queued(&self) -> Duration {
        crate::queued::process(self.pid())
    }

    /// Sends a signal by name, such as `TERM` or `HUP`.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(
            sent.as_ref().is_ok_and(ExitStatus::success),
            "kill -s {name}: {sent:?}"
        );
    }

    /// Waits until it has closed its stderr and ended, after a [`Llmleaf::signal`]; `None` after the timeout.
    ///
    /// # Panics
    /// When its status cannot be read.
    pub fn wait_exit(&mut self, timeout: Duration) -> Option<ExitStatus> {
        self.log.wait(timeout, |state| state.ended.then_some(()))?;
        Some(self.child.wait().expect("the child can be waited for"))
    }
}

impl Setup {
    /// One more file in the folder it runs in.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Other arguments; `{config}` stands for the path of the config file.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(OsString::from).collect();
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What it logs. Where the tests themselves are told what to log, by `LLMLEAF_LOG`, that counts more: all of it is searched for secrets.
    #[must_use]
    pub fn log(self, what: &str) -> Self {
        match asked_of_all() {
            None => self.env(LOG, what),
            Some(_) => self,
        }
    }

    /// Another limit for the start.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it ends or the time is over before that; the message shows what it wrote.
    #[must_use]
    pub fn start(self) -> Llmleaf {
        let folder = Folder::create();
        let watched = Watched::new(&self);
        let mut child = self
            .command(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.exe.display()));
        let log = Log::default();
        let stderr = child.stderr.take().expect("stderr is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sink, watch) = (Arc::clone(&log), Arc::clone(&watched.watch));
        let reader = std::thread::spawn(move || read_log(stderr, &sink, &watch));
        let watch = Arc::clone(&watched.watch);
        let other = std::thread::spawn(move || read_output(stdout, &watch));
        let mut leaf = Llmleaf {
            // Known in a moment; until then nobody sees this value.
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            child,
            log,
            readers: vec![reader, other],
            folder,
            watched,
        };
        let told = leaf.log.wait(self.timeout, |state| {
            let found = state.lines.iter().find_map(|line| listening_on(line));
            (found.is_some() || state.ended).then_some(found)
        });
        match told.flatten() {
            Some(addr) => {
                leaf.addr = addr;
                crate::leaks::watch(addr, &leaf.watched.watch);
            }
            None => panic!("it does not listen; it wrote:\n{}", leaf.log().join("\n")),
        }
        leaf
    }

    /// Runs it to its end, for `check` and for configs that must be refused: exit status, stdout and stderr.
    ///
    /// # Panics
    /// When it cannot be run, or tells a secret of its configuration.
    #[must_use]
    pub fn run(self) -> (ExitStatus, String, String) {
        let folder = Folder::create();
        let watched = Watched::new(&self);
        let output = self
            .command(&folder)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.exe.display()));
        watched.watch.look("its output", &output.stdout);
        watched.watch.look("its errors", &output.stderr);
        watched.expect_none();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status, text(output.stdout), text(output.stderr))
    }

    fn command(&self, folder: &Folder) -> Command {
        let config = folder.0.join("llmleaf.toml");
        std::fs::write(&config, &self.config).expect("the config can be written");
        for (name, text) in &self.files {
            std::fs::write(folder.0.join(name), text).expect("a file can be written");
        }
        let mut command = Command::new(&self.exe);
        for arg in &self.args {
            command.arg(if arg == "{config}" {
                config.as_os_str()
            } else {
                arg
            });
        }
        command
            .current_dir(&folder.0)
            .env("LLMLEAF_CONFIG", &config)
            .envs(self.envs.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }
}

/// What is logged, where that is said to the tests themselves.
#[expect(
    clippy::disallowed_methods,
    reason = "what all programs log is asked of the tests from outside"
)]
pub(crate) fn asked_of_all() -> Option<OsString> {
    std::env::var_os(LOG)
}

fn read_log(stderr: impl std::io::Read, log: &Log, watch: &Watch) {
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        watch.look("the log", &line);
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        log.update(|state| state.lines.push(line));
    }
    log.update(|state| state.ended = true);
}

fn read_output(stdout: impl std::io::Read, watch: &Watch) {
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        watch.look("its output", &line);
    }
}

/// `127.0.0.1:PORT` behind the word `listening`, in text or in a JSON log line with the address before or after it.
fn listening_on(line: &str) -> Option<SocketAddr> {
    if !line.contains("listening") {
        return None;
    }
    let start = line.find("127.0.0.1:")?;
    let rest = &line[start + "127.0.0.1:".len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let port = digits.parse().ok().filter(|port| *port > 0)?;
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}

impl Drop for Llmleaf {
    fn drop(&mut self) {
        let runs = matches!(self.child.try_wait(), Ok(None));
        if runs && !std::thread::panicking() {
            self.watched.ask(self.addr);
        }
        // It may have ended by itself, which is no failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            // The readers cannot panic, and their end comes with the child's.
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("the log of llmleaf:\n{}", self.log().join("\n"));
            return;
        }
        self.watched.look_into(&self.folder.0);
        self.watched.expect_none();
    }
}

/// A new folder that goes when this does.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("llmleaf-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder can be made");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;
