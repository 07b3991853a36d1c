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
pub(super) struct Aside(std::sync::OnceLock<Sender<Job>>);

impl Aside {
    /// Does that there, after what was wanted before. Where nobody waits for it any more when its turn comes it is not done, and where
    /// that is so later it is done to its end.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, heard) = oneshot::channel();
        let job: Job = Box::new(move || {
            if done.is_closed() {
                return;
            }
            let outcome = catch_unwind(AssertUnwindSafe(work));
            if let Err(unheard) = done.send(outcome) {
                drop(unheard);
            }
        });
        self.send(job);
        match heard.await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            // It is not dropped undone as long as this waits.
            Err(_) => std::future::pending().await,
        }
    }

    /// Does that there in its turn, whoever is still there then. Nobody hears what comes of it.
    pub fn leave(&self, work: impl FnOnce() + Send + 'static) {
        self.send(Box::new(move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("a fault in what was left to be done beside all else");
            }
        }));
    }

    fn send(&self, job: Job) {
        let unsent = match self.jobs(begin) {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        if let Some(job) = unsent {
            // There is no thread to be had: late is better than never.
            job();
        }
    }

    /// Where jobs go. Where there was no thread to be had there may be one the next time.
    fn jobs(&self, begin: impl FnOnce() -> Option<Sender<Job>>) -> Option<&Sender<Job>> {
        if self.0.get().is_none() {
            let begun = begin()?;
            return Some(self.0.get_or_init(|| begun));
        }
        self.0.get()
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
            tracing::error!(%error, "no thread for snapshots; this one is read where leases are");
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
        // What nobody waits for any more is done all the same once it has begun, and in its turn.
        let left = tokio::time::timeout(
            Duration::from_millis(1),
            aside.run(|| sleep(Duration::from_millis(20))),
        );
        assert!(left.await.is_err());
        assert_eq!(aside.run(|| current().id()).await, there.0);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_in_its_turn_is_not_done_unless_it_was_left() {
        let aside = Aside::default();
        let (go, waits) = channel::<()>();
        let (told, heard) = channel();
        aside.leave(move || waits.recv().expect("it is told"));
        let tells = told.clone();
        let waited = aside.run(move || tells.send("waited for"));
        let given_up = tokio::time::timeout(Duration::from_millis(1), waited);
        assert!(given_up.await.is_err());
        aside.leave(move || told.send("left").expect("somebody hears it"));
        go.send(()).expect("it waits");
        aside.run(|| ()).await;
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["left"]);
    }

    #[tokio::test]
    async fn where_there_was_no_thread_one_is_asked_for_again() {
        let aside = Aside::default();
        assert!(aside.jobs(|| None).is_none());
        assert_ne!(aside.run(|| current().id()).await, current().id());
        assert!(aside.jobs(|| panic!("there is one")).is_some());
    }
}
