//! The signals that the process acts upon.

use std::fs::File;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and ctrl-c stop, SIGHUP reloads.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Ignored, also where something that failed to start another program has put the default back, which ends this one.
    _pipe: Signal,
    /// Not caught where there is nothing to reload: it ends the process then, as it always does.
    hangup: Option<Signal>,
    /// There was a terminal at the start.
    terminal: bool,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To stop.
    Stop,
    /// To read the configuration again.
    Reload,
}

impl Signals {
    /// Begins to listen for signals.
    ///
    /// # Errors
    /// The system's word.
    pub fn new(reloads: bool) -> std::io::Result<Self> {
        let hangup = reloads.then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _pipe: signal(SignalKind::pipe())?,
            hangup,
            terminal: has_terminal(),
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            // A terminal that is closed sends the same signal; whoever started the program there is gone.
            _ = hangup => if self.terminal && !has_terminal() {
                Asked::Stop
            } else {
                Asked::Reload
            },
        }
    }

    /// The next one that asks to stop.
    pub async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

/// Whether the process has a controlling terminal: the special file can be opened only then.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
