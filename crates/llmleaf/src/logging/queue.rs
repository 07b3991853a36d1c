//! Log lines on their way to standard error. Who reads them may be slow, stand still or be gone; no request waits for that.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most bytes of lines that wait to be written; what comes then is dropped, and counted.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// The lines that wait. Clones are the same queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Lines>,
    /// A line came, or all were written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
    /// Lines were taken out and are being written.
    writing: bool,
}

impl Queue {
    /// A queue, and the thread that writes what is in it to `out`. `lost` words that lines were dropped.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        lost: fn(u64) -> String,
    ) -> io::Result<Self> {
        let queue = Self::default();
        let own = queue.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || own.write_all(out, lost))?;
        Ok(queue)
    }

    /// Takes a line, or drops it.
    pub(super) fn push(&self, line: &[u8]) {
        let mut lines = self.lines();
        if lines.bytes.saturating_add(line.len()) > MOST_BYTES {
            lines.dropped = lines.dropped.saturating_add(1);
            return;
        }
        lines.bytes += line.len();
        lines.waiting.push_back(line.to_vec());
        drop(lines);
        self.0.changed.notify_all();
    }

    /// Waits until all is written, but not for long.
    pub(super) fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut lines = self.lines();
        while lines.writing || !lines.waiting.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.changed.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // A line that was half pushed is none the worse for a panic elsewhere.
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl Write, lost: fn(u64) -> String) {
        loop {
            let (taken, dropped) = self.take();
            let mut bytes = taken.concat();
            if dropped > 0 {
                bytes.extend_from_slice(lost(dropped).as_bytes());
            }
            // Whoever read it may be gone; then there is nobody to tell.
            let _ = out.write_all(&bytes).and_then(|()| out.flush());
        }
    }

    /// Waits for lines and takes all; what was taken before counts as written.
    fn take(&self) -> (Vec<Vec<u8>>, u64) {
        let mut lines = self.lines();
        lines.writing = false;
        self.0.changed.notify_all();
        while lines.waiting.is_empty() {
            let waited = self.0.changed.wait(lines);
            lines = waited.unwrap_or_else(PoisonError::into_inner);
        }
        lines.writing = true;
        lines.bytes = 0;
        (
            lines.waiting.drain(..).collect(),
            std::mem::take(&mut lines.dropped),
        )
    }
}

/// Where the subscriber writes: it gives each line in one piece.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, Queue};
    use std::io::{self, Write};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::{Duration, Instant};

    const LONG: Duration = Duration::from_secs(20);

    /// A reader that takes each write only when it is asked for it.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.0.send(bytes.to_vec()).map_err(gone)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (Queue, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(0);
        let lost = |count| format!("{count} lost\n");
        (
            Queue::start(Pipe(sender), lost).expect("a thread"),
            receiver,
        )
    }

    #[test]
    fn i10_nobody_waits_for_a_reader_that_stands_still() {
        let (queue, reader) = queue();
        let line = [b'x'; 1024];
        let pushed = 3 * MOST_BYTES / line.len();
        let started = Instant::now();
        for _ in 0..pushed {
            queue.push(&line);
        }
        assert!(started.elapsed() < LONG);
        assert!(queue.lines().bytes <= MOST_BYTES);
        // Each one is written or counted. What was lost may be told in several places.
        let (mut written, mut lost) = (0, 0);
        while written + lost < pushed {
            let piece = reader
                .recv_timeout(LONG)
                .expect("it goes on when it is read");
            let text = String::from_utf8(piece).expect("text");
            let told = text.trim_start_matches('x');
            written += (text.len() - told.len()) / line.len();
            if let Some(count) = told.strip_suffix(" lost\n") {
                lost += count.parse::<usize>().expect("a count");
            }
        }
        // As much waited as may, and as much was with the writer.
        assert_eq!(written + lost, pushed);
        assert!(lost >= MOST_BYTES / line.len(), "{lost}");
    }

    #[test]
    fn i10_a_reader_that_is_gone_harms_nobody() {
        let (queue, reader) = queue();
        drop(reader);
        queue.push(b"one\n");
        queue.push(b"two\n");
        queue.flush(LONG);
        assert_eq!(queue.lines().bytes, 0);
    }

    #[test]
    fn i10_the_end_of_the_program_waits_for_its_last_words_but_not_for_ever() {
        let (queue, reader) = queue();
        queue.push(b"last\n");
        queue.flush(Duration::ZERO);
        let read = std::thread::spawn(move || reader.recv_timeout(LONG));
        queue.flush(LONG);
        assert_eq!(read.join().expect("no panic"), Ok(b"last\n".to_vec()));
    }
}
