//! Host names to addresses, off the threads that serve, with a short memory.
//!
//! One lookup per host is under way at a time, so that a slow resolver holds one thread per host
//! and not one per request; whoever asks meanwhile shares its answer. The system's resolver tells
//! no time to live: an answer counts as fresh for a few seconds, and is still used for some
//! minutes when the resolver fails or dawdles.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::origin::Origin;

/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(10);
/// How long an answer may stand in for one that does not come.
const STALE: Duration = Duration::from_secs(300);
/// How long a lookup may take where nothing is known; its answer still counts for those who ask later.
const LOOKUP: Duration = Duration::from_secs(2);
/// How long a stale answer waits for a fresh one, from when that was asked for: a resolver that hangs is waited for once, and not by
/// every connection.
const PATIENCE: Duration = Duration::from_millis(500);
/// More addresses than this are of no use within one connect timeout.
const MAX_ADDRESSES: usize = 16;
/// Hosts remembered; origins come from the configuration, so this is never reached in earnest.
const MAX_HOSTS: usize = 1024;

pub(crate) type Addresses = Arc<[SocketAddr]>;
type Answer = Result<Addresses, Arc<str>>;
type Flight = watch::Receiver<Option<Answer>>;

/// Asks the system; runs on a thread of its own.
type Ask = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

#[derive(Debug)]
pub(crate) struct Resolver {
    hosts: RefCell<HashMap<String, Host>>,
    ask: Ask,
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver {
            hosts: RefCell::default(),
            ask: |host, port| {
                let found = (host, port).to_socket_addrs()?;
                Ok(found.take(MAX_ADDRESSES).collect())
            },
        }
    }
}

#[derive(Debug, Default)]
struct Host {
    known: Option<(Addresses, Instant)>,
    /// The lookup that is under way, and since when.
    flight: Option<(Flight, Instant)>,
}

impl Resolver {
    /// The addresses of an origin, at least one.
    pub async fn resolve(&self, origin: &Origin) -> Result<Addresses, Arc<str>> {
        if let Some(ip) = origin.ip() {
            return Ok(Arc::new([SocketAddr::new(ip, origin.port())]));
        }
        self.harvest(origin);
        let now = Instant::now();
        let known = self.known(origin, now);
        if let Some((addresses, age)) = &known
            && *age < FRESH
        {
            return Ok(Arc::clone(addresses));
        }
        let (flight, since) = self.join_flight(origin, now);
        let answer = match known {
            None => match timeout(LOOKUP, land(flight)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} ms", LOOKUP.as_millis()).into()),
            },
            Some((stale, _)) => {
                let patience = PATIENCE.saturating_sub(now.saturating_duration_since(since));
                match timeout(patience, land(flight)).await {
                    Ok(Ok(fresh)) => Ok(fresh),
                    Ok(Err(_)) | Err(_) => return Ok(stale),
                }
            }
        }?;
        self.remember(origin, &answer);
        Ok(answer)
    }

    /// No address of this host could be connected to: ask again the next time.
    pub fn doubt(&self, origin: &Origin) {
        if let Some(host) = self.hosts.borrow_mut().get_mut(origin.key())
            && let Some((_, since)) = &mut host.known
            && let Some(earlier) = Instant::now().checked_sub(FRESH)
        {
            *since = (*since).min(earlier);
        }
    }

    /// Takes the answer of a lookup that nobody waited for to its end.
    fn harvest(&self, origin: &Origin) {
        let landed = {
            let hosts = self.hosts.borrow();
            let flight = hosts
                .get(origin.key())
                .and_then(|host| host.flight.as_ref());
            flight.and_then(|(flight, _)| flight.borrow().clone())
        };
        if let Some(Ok(addresses)) = landed {
            self.remember(origin, &addresses);
        }
    }

    fn known(&self, origin: &Origin, now: Instant) -> Option<(Addresses, Duration)> {
        let hosts = self.hosts.borrow();
        let (addresses, since) = hosts.get(origin.key())?.known.as_ref()?;
        let age = now.saturating_duration_since(*since);
        (age < STALE).then(|| (Arc::clone(addresses), age))
    }

    fn join_flight(&self, origin: &Origin, now: Instant) -> (Flight, Instant) {
        let mut hosts = self.hosts.borrow_mut();
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(origin.key()) {
            hosts.clear();
        }
        let host = hosts.entry(origin.key().to_owned()).or_default();
        // A flight that has landed, or whose thread is gone, is not joined again.
        if let Some((flight, since)) = &host.flight
            && flight.has_changed().is_ok()
            && flight.borrow().is_none()
        {
            return (flight.clone(), *since);
        }
        let flight = take_off(self.ask, origin.host().to_owned(), origin.port());
        host.flight = Some((flight.clone(), now));
        (flight, now)
    }

    fn remember(&self, origin: &Origin, addresses: &Addresses) {
        if let Some(host) = self.hosts.borrow_mut().get_mut(origin.key()) {
            host.known = Some((Arc::clone(addresses), Instant::now()));
            host.flight = None;
        }
    }
}

/// A thread of its own: a resolver that hangs keeps no other blocking work from its turn. There is at most one per host.
fn take_off(ask: Ask, host: String, port: u16) -> Flight {
    let (answer, flight) = watch::channel(None);
    let thread = std::thread::Builder::new().name("resolver".to_owned());
    let spawned = thread.spawn(move || {
        let result = match ask(&host, port) {
            Ok(found) if found.is_empty() => Err("no address".into()),
            Ok(found) => Ok(found.into()),
            Err(error) => Err(error.to_string().into()),
        };
        answer.send_replace(Some(result));
    });
    if let Err(error) = spawned {
        return watch::channel(Some(Err(error.to_string().into()))).1;
    }
    flight
}

async fn land(mut flight: Flight) -> Answer {
    match flight.wait_for(Option::is_some).await {
        Ok(answer) => answer.clone().unwrap_or_else(|| Err("no answer".into())),
        Err(_) => Err("the lookup was abandoned".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::parse(url).expect("url").0
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_remembered() {
        let resolver = Resolver::default();
        let origin = origin("http://localhost:81");
        let first = resolver.resolve(&origin).await.expect("localhost");
        assert!(first.iter().all(|a| a.ip().is_loopback() && a.port() == 81));
        let second = resolver.resolve(&origin).await.expect("localhost");
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[tokio::test]
    async fn a_doubted_answer_is_asked_for_again() {
        let resolver = Resolver::default();
        let origin = origin("http://localhost:81");
        let first = resolver.resolve(&origin).await.expect("localhost");
        resolver.doubt(&origin);
        let second = resolver.resolve(&origin).await.expect("localhost");
        assert!(!Arc::ptr_eq(&first, &second));
    }

    #[tokio::test]
    async fn lookups_of_one_host_share_a_flight() {
        let resolver = Resolver::default();
        let origin = origin("http://localhost:81");
        let (one, two) = tokio::join!(resolver.resolve(&origin), resolver.resolve(&origin));
        assert!(Arc::ptr_eq(&one.expect("one"), &two.expect("two")));
    }

    #[tokio::test]
    async fn b4_an_unknown_name_is_an_error() {
        let resolver = Resolver::default();
        // A label of 64 letters: refused by the system's resolver itself, no server is asked.
        let url = format!("http://{}.invalid", "x".repeat(64));
        let error = resolver.resolve(&origin(&url)).await;
        assert!(error.is_err());
    }

    fn asking(ask: Ask) -> Resolver {
        Resolver {
            ask,
            ..Resolver::default()
        }
    }

    /// Hangs until the test has long ended.
    fn hangs(_: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        std::thread::park();
        Ok(Vec::new())
    }

    #[tokio::test(start_paused = true)]
    async fn b4_a_resolver_that_hangs_has_its_own_limit_and_one_thread() {
        let resolver = asking(hangs);
        let origin = origin("http://slow.example");
        let began = Instant::now();
        for _ in 0..3 {
            let error = resolver.resolve(&origin).await.expect_err("no answer");
            assert!(error.contains("2000 ms"), "{error}");
        }
        assert_eq!(began.elapsed(), 3 * LOOKUP);
        let flights = resolver.hosts.borrow();
        let flight = flights["http://slow.example:80"].flight.as_ref();
        assert!(
            flight.is_some_and(|(flight, _)| flight.borrow().is_none()),
            "still the first"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn b4_a_stale_answer_stands_in_for_a_bounded_time() {
        let resolver = asking(hangs);
        let origin = origin("http://flaky.example:81");
        let address: SocketAddr = "127.0.0.1:81".parse().expect("an address");
        let known: Addresses = Arc::new([address]);
        let host = Host {
            known: Some((Arc::clone(&known), Instant::now())),
            flight: None,
        };
        let key = origin.key().to_owned();
        resolver.hosts.borrow_mut().insert(key, host);
        tokio::time::advance(FRESH).await;
        let began = Instant::now();
        let answer = resolver.resolve(&origin).await.expect("the stale one");
        assert!(Arc::ptr_eq(&answer, &known));
        assert_eq!(began.elapsed(), PATIENCE);
        // The resolver still hangs, which is known by now.
        let began = Instant::now();
        let answer = resolver.resolve(&origin).await.expect("the stale one");
        assert!(Arc::ptr_eq(&answer, &known));
        assert_eq!(began.elapsed(), Duration::ZERO);
        tokio::time::advance(STALE).await;
        assert!(resolver.resolve(&origin).await.is_err(), "too old");
    }

    #[tokio::test(start_paused = true)]
    async fn b4_a_failed_lookup_leaves_the_stale_answer() {
        let resolver = asking(|_, _| Err(io::Error::other("SERVFAIL")));
        let origin = origin("http://flaky.example:81");
        assert!(resolver.resolve(&origin).await.is_err());
        let address: SocketAddr = "127.0.0.1:81".parse().expect("an address");
        let known: Addresses = Arc::new([address]);
        resolver.remember(&origin, &known);
        tokio::time::advance(FRESH).await;
        let answer = resolver.resolve(&origin).await.expect("the stale one");
        assert!(Arc::ptr_eq(&answer, &known));
    }
}
