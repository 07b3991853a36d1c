//! What a disk may refuse, for tests: nothing else brings it about on every machine. Outside of tests nothing is refused.

/// What is asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Write,
    Read,
    Sync,
}

/// Whether the disk does that.
#[cfg(not(test))]
pub(crate) fn pass(_act: Act) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use told::{pass, refusing};

#[cfg(test)]
mod told {
    use super::Act;
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static REFUSED: Cell<Option<Act>> = const { Cell::new(None) };
    }

    pub(crate) fn pass(act: Act) -> io::Result<()> {
        match REFUSED.get() == Some(act) {
            true => Err(io::Error::other("refused by the test")),
            false => Ok(()),
        }
    }

    /// Does something while the disk refuses that, in this thread.
    pub(crate) fn refusing<T>(act: Act, work: impl FnOnce() -> T) -> T {
        REFUSED.set(Some(act));
        let done = work();
        REFUSED.set(None);
        done
    }
}
