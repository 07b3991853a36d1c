//! What is kept for the next run, and what does not wait for it.

use super::*;
use std::path::{Path, PathBuf};

/// A folder that is there as long as its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("llmleaf-agent-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits until that is so. Threads do not know of simulated time.
fn until(is_so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "never");
        std::thread::yield_now();
    }
}

/// The same, while simulated time goes on.
async fn soon(mut is_so: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "never");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn until_kept(folder: &Path) {
    until(|| folder.join("identity.snapshot").exists());
}

/// What was good is what a node begins with, when nobody answers at its next start.
#[tokio::test(start_paused = true)]
async fn g1_a_node_that_kept_its_roster_is_warm_at_once() {
    let folder = Folder::new("kept");
    let key = Key::new("a");
    let body = roster(&[key.row("a")]);
    let plan = || Plan {
        identity: every(30),
        state: Some(folder.0.clone()),
        ..Plan::default()
    };
    let good = script(move |_, _| says(body.clone()));
    play(plan(), good, async |node| {
        node.tried.await.expect("asked for");
        until_kept(&folder.0);
    })
    .await;
    play(plan(), script(|_, _| away()), async |node| {
        node.tried.await.expect("asked for");
        assert!(key.may(&node.authenticator) && !node.authenticator.is_cold());
    })
    .await;
}

/// What was kept is as old as its last word, however often the program has begun since.
#[tokio::test(start_paused = true)]
async fn g2_a_kept_roster_that_is_too_old_counts_no_longer() {
    let folder = Folder::new("old");
    let key = Key::new("a");
    let body = roster(&[key.row("a")]);
    let plan = || {
        let mut identity = every(30);
        if let Some(plan) = &mut identity {
            plan.cadence.max_stale = Some(Duration::from_secs(3600));
        }
        Plan {
            identity,
            state: Some(folder.0.clone()),
            ..Plan::default()
        }
    };
    let good = script(move |_, _| says(body.clone()));
    play(plan(), good, async |node| {
        node.tried.await.expect("asked for");
        until_kept(&folder.0);
    })
    .await;
    let aged = |secs| {
        let path = folder.0.join("identity.snapshot");
        let file = std::fs::OpenOptions::new().write(true).open(path);
        let at = std::time::SystemTime::now() - Duration::from_secs(secs);
        file.and_then(|file| file.set_modified(at)).expect("set");
    };
    aged(3500);
    play(plan(), script(|_, _| away()), async |node| {
        node.tried.await.expect("asked for");
        assert!(key.may(&node.authenticator) && !node.authenticator.is_cold());
        let age = node.board.views()[&What::Identity].age();
        assert!(age >= Some(Duration::from_secs(3500)), "{age:?}");
        tokio::time::sleep(Duration::from_secs(110)).await;
        assert!(!key.may(&node.authenticator) && node.authenticator.is_cold());
    })
    .await;
    aged(3700);
    play(plan(), script(|_, _| away()), async |node| {
        node.tried.await.expect("asked for");
        assert!(!key.may(&node.authenticator) && node.authenticator.is_cold());
    })
    .await;
}

/// What was pulled counts, whatever the disk does.
#[tokio::test(start_paused = true)]
async fn g4_a_disk_that_hangs_holds_up_no_pull() {
    let folder = Folder::new("hangs");
    let key = Key::new("a");
    let blocked = Rc::new(std::cell::Cell::new(false));
    let (block, body) = (Rc::clone(&blocked), roster(&[key.row("a")]));
    let script = script(move |what, _| match (what, block.get()) {
        (What::Identity, _) => says(body.clone()),
        (_, true) => says(r#"{"verdicts":{"a":{"blocked":true}}}"#),
        (_, false) => says(r#"{"verdicts":{}}"#),
    });
    let (go, waits) = std::sync::mpsc::channel::<()>();
    let before: Before = Box::new(move |agent| {
        let (writing, (held, holds)) = (Arc::clone(&agent.writing), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            let _writing = writing.lock();
            held.send(()).expect("somebody waits");
            let _ = waits.recv();
        });
        holds.recv().expect("it is held");
    });
    BEFORE.set(Some(before));
    let plan = Plan {
        state: Some(folder.0.clone()),
        ..both()
    };
    play(plan, script, async |mut node| {
        soon(|| node.tried.try_recv().is_ok()).await;
        assert!(key.may(&node.authenticator));
        blocked.set(true);
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(!key.may(&node.authenticator));
        assert!(!folder.0.exists());
        go.send(()).expect("it waits");
        let files = ["identity.snapshot", "verdicts.snapshot"];
        until(|| files.iter().all(|file| folder.0.join(file).exists()));
    })
    .await;
}

/// A roster that takes long holds up no verdict.
#[tokio::test(start_paused = true)]
async fn g4_no_pull_waits_for_what_another_one_reads() {
    let (key, padding) = (Key::new("a"), " ".repeat(100_000));
    let blocked = Rc::new(std::cell::Cell::new(false));
    let (block, body) = (Rc::clone(&blocked), roster(&[key.row("a")]));
    let mut rosters = 0;
    let script = script(move |what, _| match (what, block.get()) {
        (What::Identity, _) => {
            rosters += 1;
            let padding = if rosters > 1 { &*padding } else { "" };
            says(format!("{body}{padding}"))
        }
        (_, true) => says(format!(
            r#"{{"verdicts":{{"a":{{"blocked":true}}}}}}{padding}"#
        )),
        (_, false) => says(r#"{"verdicts":{}}"#),
    });
    let before: Before = Box::new(|agent| {
        let for_ever = || std::thread::sleep(Duration::from_secs(3600));
        agent.beside.identity.aside.leave(for_ever);
    });
    BEFORE.set(Some(before));
    play(both(), script, async |node| {
        node.tried.await.expect("both were asked for");
        assert!(key.may(&node.authenticator));
        tokio::time::sleep(Duration::from_secs(60)).await;
        blocked.set(true);
        soon(|| !key.may(&node.authenticator)).await;
    })
    .await;
}

/// A controller that says that nothing has changed is not what keeps a file from being written that a disk once refused.
#[tokio::test(start_paused = true)]
async fn g1_what_a_disk_refused_is_kept_when_it_takes_it_again() {
    let folder = Folder::new("refused");
    let key = Key::new("a");
    let body = roster(&[key.row("a")]);
    let plan = Plan {
        identity: every(30),
        state: Some(folder.0.clone()),
        ..Plan::default()
    };
    let tagged = script(move |_, known| {
        let answer = Answer {
            status: if known.is_some() { 304 } else { 200 },
            etag: Some("\"1\"".to_owned()),
            ..Answer::default()
        };
        let body = known.map_or(&*body, |_| "");
        Ok((answer, Bytes::from(body.to_owned())))
    });
    // No folder can be made where a file is.
    std::fs::write(&folder.0, b"in the way").expect("written");
    play(plan, tagged, async |node| {
        node.tried.await.expect("asked for");
        assert!(key.may(&node.authenticator));
        tokio::time::sleep(Duration::from_secs(90)).await;
        std::fs::remove_file(&folder.0).expect("it was there");
        let kept = folder.0.join("identity.snapshot");
        soon(|| kept.exists()).await;
        // And once more where somebody takes it away.
        std::fs::remove_file(&kept).expect("it was there");
        soon(|| kept.exists()).await;
        assert!(key.may(&node.authenticator));
    })
    .await;
}
