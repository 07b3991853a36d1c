//! The controller as a program: what it has is read from a folder with every request, what it is told is told on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Misdeed, Part, State, answer};
use crate::replay::{Gate, Replay, Request};

/// A controller that serves a folder.
pub struct Served {
    replay: Replay,
    lines: Receiver<String>,
}

impl Served {
    /// Listens there. The folder has `keys.json`, `verdicts.json`, `topology.json`, `leases.json`, `intercept.json` and `misbehave.txt`, each of which may be
    /// absent and may change at any time.
    ///
    /// # Panics
    /// When the address cannot be listened on.
    #[must_use]
    pub fn start(addr: SocketAddr, folder: PathBuf) -> Self {
        let replay = Replay::start_at(addr);
        let (tell, lines) = channel();
        let mut state = State::default();
        replay.on(move |request| {
            look(&mut state, &folder, &tell);
            heard(request, &tell);
            answer(&mut state, request)
        });
        Served { replay, lines }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.replay.addr
    }

    /// What it is asked and told, as it comes, for ever.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter()
    }
}

fn heard(request: &Request, tell: &Sender<String>) {
    let node = request.header("x-llmleaf-node").unwrap_or("-");
    let body = request.text();
    // Nobody may listen.
    let _ = tell.send(format!("{} {} {node} {body}", request.method, request.path));
}

/// Takes up what is in the folder now.
fn look(state: &mut State, folder: &Path, tell: &Sender<String>) {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    for (part, nothing) in [
        (Part::Keys, r#"{"keys":[]}"#),
        (Part::Verdicts, r#"{"verdicts":{}}"#),
        (Part::Topology, r#"{"providers":[],"routes":[]}"#),
    ] {
        let text = read(&format!("{}.json", part.name()));
        let text = text.unwrap_or_else(|| nothing.to_owned());
        if state
            .snapshots
            .get(&part)
            .is_none_or(|known| known.body != text)
        {
            state.set(part, &text);
        }
    }
    for part in [Part::Leases, Part::Intercept] {
        match read(&format!("{}.json", part.name())) {
            Some(text) => state.answers.insert(part, text),
            None => state.answers.remove(&part),
        };
    }
    state.misdeeds.clear();
    for line in read("misbehave.txt").unwrap_or_default().lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match misdeed(line) {
            Some((part, misdeed)) => {
                state.misdeeds.insert(part, misdeed);
            }
            None => {
                // Nobody may listen.
                let _ = tell.send(format!("not understood: {line}"));
            }
        }
    }
}

/// A line such as `keys status 500`.
fn misdeed(line: &str) -> Option<(Part, Misdeed)> {
    let mut words = line.split_whitespace();
    let part = words.next()?;
    let part = Part::ALL.into_iter().find(|known| known.name() == part)?;
    let what = words.next()?;
    let mut number = || words.next()?.parse::<usize>().ok();
    let misdeed = match what {
        "status" => Misdeed::Status(u16::try_from(number()?).ok()?),
        "later" => Misdeed::Later(
            u16::try_from(number()?).ok()?,
            u64::try_from(number()?).ok()?,
        ),
        "cut" => Misdeed::Cut(number()?),
        "slow" => Misdeed::Slow(number()?, Gate::new()),
        "huge" => Misdeed::Huge(number()?),
        "redirect" => Misdeed::Redirect(words.next()?.to_owned()),
        "version" => Misdeed::Version(words.next()?.to_owned()),
        "html" => Misdeed::Html,
        "silent" => Misdeed::Silent,
        "nothing-new" => Misdeed::NothingNew,
        "replay" => Misdeed::Replay,
        _ => return None,
    };
    Some((part, misdeed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::get;

    #[test]
    fn every_misdeed_has_its_line() {
        for line in [
            "keys status 500",
            "verdicts later 503 30",
            "topology cut 20",
            "usage slow 0",
            "leases huge 1000",
            "intercept silent",
            "keys redirect http://127.0.0.1:1/",
            "keys version 2.7",
            "keys html",
            "keys silent",
            "keys nothing-new",
            "keys replay",
        ] {
            assert!(misdeed(line).is_some(), "{line}");
        }
        for line in [
            "keys",
            "key status 500",
            "keys status",
            "keys status 99999",
            "keys stat 5",
        ] {
            assert!(misdeed(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_folder_is_served_as_it_is_at_the_time() {
        let folder = std::env::temp_dir().join(format!("llmleaf-served-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let served = Served::start(SocketAddr::from(([127, 0, 0, 1], 0)), folder.clone());
        let bearer = format!("Bearer {}", super::super::TOKEN);
        let ask = || {
            get(
                served.addr(),
                "/llmleaf/keys",
                &[("authorization", &bearer)],
            )
        };
        assert_eq!(ask().text(), r#"{"keys":[]}"#);
        std::fs::write(folder.join("keys.json"), "{\"keys\":[7]}").expect("written");
        let changed = ask();
        assert_eq!(changed.text(), "{\"keys\":[7]}");
        assert_eq!(changed.header("x-llmleaf-snapshot"), Some("2"));
        std::fs::write(folder.join("misbehave.txt"), "# so far\nkeys status 500\n")
            .expect("written");
        assert_eq!(ask().status, 500);
        assert_eq!(
            served
                .lines()
                .take(3)
                .filter(|line| line.starts_with("GET /llmleaf/keys -"))
                .count(),
            3
        );
        std::fs::remove_dir_all(&folder).expect("cleans up");
    }
}
