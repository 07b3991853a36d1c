//! A thread for what takes long: reading half a gibibyte, comparing a million keys, freeing them, a disk. Leases do not wait for it, and
//! requests do not notice it.
//!
//! Every pull has one for what it reads, and one for its disk: a roster of a million keys holds up no verdict, and a disk that hangs nothing
//! but itself. They are of low priority, and live as long as the client. What is read there is freed there, too: memory of a thread that
//! ended is taken over and tidied by threads that look for memory, and those are the ones that serve.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Sender, channel};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// How nice that thread is to others, of 19. With 19 a machine that is busy on all processors leaves it one hundredth of one, and a key that
/// is to count no more would count for minutes; with this it has a tenth (weights of 15 and 110 beside 1024: Linux 6.18,
/// kernel/sched/core.c, `sched_prio_to_weight`, read 2026-11-26), and whoever wakes is still served first.
const NICE: i32 = 10;

/// The thread, from the first time that it is wanted.
#[derive(Default)]
pub(super) struct Aside(std::sync::OnceLock<Option<Sender<Job>>>);

impl Aside {
    /// Does that there, after what was wanted before. Who does not wait for it leaves it to run.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, heard) = oneshot::channel();
        let job: Job = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            if let Err(unheard) = done.send(outcome) {
                drop(unheard);
            }
        });
        self.send(job);
        match heard.await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            // It is not dropped undone.
            Err(_) => std::future::pending().await,
        }
    }

    /// Does that there in its turn. Nobody hears what comes of it.
    pub fn leave(&self, work: impl FnOnce() + Send + 'static) {
        self.send(Box::new(move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("a fault in what was left to be done beside all else");
            }
        }));
    }

    fn send(&self, job: Job) {
        let unsent = match self.0.get_or_init(begin) {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        if let Some(job) = unsent {
            // There is no thread to be had: late is better than never.
            job();
        }
    }
}

fn begin() -> Option<Sender<Job>> {
    let (jobs, wanted) = channel::<Job>();
    let thread = std::thread::Builder::new().name("snapshots".to_owned());
    let begun = thread.spawn(move || {
        be_nice();
        for job in wanted {
            job();
        }
    });
    match begun {
        Ok(_) => Some(jobs),
        Err(error) => {
            tracing::error!(%error, "no thread for snapshots; they are read where leases are");
            None
        }
    }
}

/// On Linux niceness is a thread's own, and may be raised by whoever runs it.
fn be_nice() {
    let own = rustix::process::getpriority_process(None).unwrap_or(NICE);
    if cfg!(target_os = "linux")
        && own < NICE
        && let Err(error) = rustix::process::setpriority_process(None, NICE)
    {
        tracing::debug!(%error, "snapshots are read at the priority of all else");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread::{current, sleep};
    use std::time::Duration;

    #[tokio::test]
    async fn it_is_one_thread_of_low_priority_that_outlives_faults() {
        let aside = Arc::new(Aside::default());
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let here = (current().id(), nice());
        let there = aside.run(move || (current().id(), nice())).await;
        assert_ne!(there.0, here.0);
        if cfg!(target_os = "linux") {
            assert_eq!((there.1, nice()), (NICE.max(here.1), here.1));
        }
        let shared = Arc::clone(&aside);
        let fault = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let fault = shared.run(|| -> () { panic!("a fault") });
            runtime.unwrap().block_on(fault);
        });
        assert!(fault.join().is_err(), "it is its caller's");
        // What nobody waits for is done all the same, and in its turn.
        let left = tokio::time::timeout(
            Duration::from_millis(1),
            aside.run(|| sleep(Duration::from_millis(20))),
        );
        assert!(left.await.is_err());
        assert_eq!(aside.run(|| current().id()).await, there.0);
    }
}
