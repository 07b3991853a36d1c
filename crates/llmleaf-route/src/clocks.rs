//! Five clocks: what may take how long, and which one ran out first.

use crate::Millis;
use std::time::Duration;

/// The five limits of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Name resolution, TCP and TLS of one attempt.
    pub connect: Duration,
    /// From the request of one attempt to its response head.
    pub headers: Duration,
    /// From the request of one attempt to its first content-bearing event.
    pub first_content: Duration,
    /// Longest silence between upstream bytes.
    pub idle: Duration,
    /// The attempt as a whole, but for the time in which a body was sent that is not held here. Each attempt of an exchange has its own, so that a fallback is left some time.
    pub total: Duration,
}

/// Which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// See [`Clocks::connect`].
    Connect,
    /// See [`Clocks::headers`].
    Headers,
    /// See [`Clocks::first_content`].
    FirstContent,
    /// See [`Clocks::idle`].
    Idle,
    /// See [`Clocks::total`].
    Total,
    /// What the exchange has left for its first content, after whatever was tried before: nobody's fault but its own.
    Deadline,
}

impl Clock {
    /// The name in config keys and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Headers => "headers",
            Self::FirstContent => "first_content",
            Self::Idle => "idle",
            Self::Total => "total",
            Self::Deadline => "deadline",
        }
    }
}

/// The clocks of one attempt, running. Connecting is watched by the transport.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    clocks: Clocks,
    began: Millis,
    ends: Millis,
    /// When the exchange must have its first content.
    content_by: Millis,
    last_bytes: Millis,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Headers,
    FirstContent,
    Content,
}

impl Watch {
    /// An attempt begins.
    pub fn new(clocks: Clocks, now: Millis) -> Self {
        Self {
            clocks,
            began: now,
            ends: now.after(clocks.total),
            content_by: Millis::NEVER,
            last_bytes: now,
            phase: Phase::Headers,
        }
    }

    /// A piece of a request that takes its time went out, or its consumer is waited for: every clock stands still for as long, and what
    /// the answer may take counts from the last one. Says how long that was.
    pub fn sending(&mut self, now: Millis) -> Duration {
        let passed = Duration::from_millis(now.since(self.began));
        self.began = now;
        self.last_bytes = now;
        self.ends = self.ends.after(passed);
        self.content_by = self.content_by.after(passed);
        passed
    }

    /// The response head came.
    pub fn headers(&mut self, now: Millis) {
        self.phase = Phase::FirstContent;
        self.last_bytes = now;
    }

    /// Upstream bytes came, be they only a comment.
    pub fn bytes(&mut self, now: Millis) {
        self.last_bytes = now;
    }

    /// The first content-bearing event came.
    pub fn content(&mut self) {
        self.phase = Phase::Content;
    }

    /// The exchange as a whole must have its first content by then; see [`crate::walk::Walk::deadline`].
    pub fn content_by(&mut self, deadline: Millis) {
        self.content_by = deadline;
    }

    /// How long a clock runs.
    pub fn limit(&self, clock: Clock) -> Duration {
        match clock {
            Clock::Connect => self.clocks.connect,
            Clock::Headers => self.clocks.headers,
            Clock::FirstContent => self.clocks.first_content,
            Clock::Idle => self.clocks.idle,
            Clock::Total => self.clocks.total,
            Clock::Deadline => Duration::from_millis(self.content_by.since(self.began)),
        }
    }

    /// All of the answer is there: only the end of the upstream's body is still waited for, and not for long.
    pub fn linger(&mut self, now: Millis, longest: Duration) {
        self.ends = self.ends.min(now.after(longest));
    }

    /// When which clock runs out, if nothing happens until then.
    pub fn deadline(&self) -> (Millis, Clock) {
        let total = (self.ends, Clock::Total);
        let idle = (self.last_bytes.after(self.clocks.idle), Clock::Idle);
        let first = (
            self.began.after(self.clocks.first_content),
            Clock::FirstContent,
        );
        // Of two that run out at once the attempt's own counts: it had all of its time.
        let first = first.min_by_time((self.content_by, Clock::Deadline));
        let own = match self.phase {
            // There is no content before the head: a clock for it that is the shorter one counts from the beginning.
            Phase::Headers => {
                (self.began.after(self.clocks.headers), Clock::Headers).min_by_time(first)
            }
            Phase::FirstContent => idle.min_by_time(first),
            Phase::Content => idle,
        };
        own.min_by_time(total)
    }

    /// The attempt as a whole is out of time, however busy it is.
    pub fn is_over(&self, now: Millis) -> bool {
        now >= self.ends
    }

    /// The clock that has run out, if one has.
    pub fn expired(&self, now: Millis) -> Option<Clock> {
        let (at, clock) = self.deadline();
        (now >= at).then_some(clock)
    }
}

trait MinByTime {
    fn min_by_time(self, other: Self) -> Self;
}

impl MinByTime for (Millis, Clock) {
    fn min_by_time(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCKS: Clocks = Clocks {
        connect: Duration::from_millis(10),
        headers: Duration::from_millis(100),
        first_content: Duration::from_millis(150),
        idle: Duration::from_millis(80),
        total: Duration::from_millis(1000),
    };

    #[test]
    fn each_phase_has_its_clock() {
        let mut watch = Watch::new(CLOCKS, Millis(0));
        assert_eq!(watch.expired(Millis(99)), None);
        assert_eq!(watch.expired(Millis(100)), Some(Clock::Headers));
        watch.headers(Millis(90));
        assert_eq!(watch.deadline(), (Millis(150), Clock::FirstContent));
        watch.bytes(Millis(60));
        assert_eq!(watch.deadline(), (Millis(140), Clock::Idle));
        watch.bytes(Millis(140));
        assert_eq!(
            watch.deadline(),
            (Millis(150), Clock::FirstContent),
            "bytes without content do not count"
        );
        watch.content();
        assert_eq!(watch.deadline(), (Millis(220), Clock::Idle));
        watch.bytes(Millis(990));
        assert_eq!(watch.deadline(), (Millis(1000), Clock::Total));
    }

    #[test]
    fn what_is_left_of_the_exchange_counts_until_its_content() {
        let mut watch = Watch::new(CLOCKS, Millis(0));
        watch.content_by(Millis(150));
        assert_eq!(watch.deadline(), (Millis(100), Clock::Headers));
        watch.content_by(Millis(40));
        assert_eq!(watch.deadline(), (Millis(40), Clock::Deadline));
        assert_eq!(watch.limit(Clock::Deadline), Duration::from_millis(40));
        watch.headers(Millis(30));
        assert_eq!(watch.expired(Millis(40)), Some(Clock::Deadline));
        watch.content();
        assert_eq!(watch.deadline(), (Millis(110), Clock::Idle));
    }

    #[test]
    fn the_time_for_an_answer_counts_from_the_end_of_its_request() {
        let mut watch = Watch::new(CLOCKS, Millis(0));
        for now in [90, 180, 270] {
            watch.sending(Millis(now));
        }
        assert_eq!(watch.deadline(), (Millis(370), Clock::Headers));
        // However long it takes, what is left of the attempt and of the exchange is what it was.
        watch.content_by(Millis(400));
        assert_eq!(watch.sending(Millis(5000)), Duration::from_millis(4730));
        assert_eq!(watch.deadline(), (Millis(5100), Clock::Headers));
        watch.headers(Millis(5090));
        assert_eq!(watch.expired(Millis(5129)), None);
        assert_eq!(watch.expired(Millis(5130)), Some(Clock::Deadline));
        watch.content();
        watch.bytes(Millis(5960));
        assert_eq!(watch.deadline(), (Millis(6000), Clock::Total));
    }

    #[test]
    fn an_answer_that_began_before_its_request_ended_does_not_pay_for_a_slow_consumer() {
        let mut watch = Watch::new(CLOCKS, Millis(0));
        watch.headers(Millis(10));
        watch.sending(Millis(500));
        assert_eq!(watch.deadline(), (Millis(580), Clock::Idle));
        watch.content_by(Millis::NEVER);
        watch.sending(Millis(600));
        watch.bytes(Millis(660));
        assert_eq!(watch.deadline(), (Millis(740), Clock::Idle));
    }

    #[test]
    fn the_total_counts_before_any_longer_clock() {
        let short = Clocks {
            total: Duration::from_millis(50),
            ..CLOCKS
        };
        let watch = Watch::new(short, Millis(950));
        assert_eq!(watch.deadline(), (Millis(1000), Clock::Total));
        assert!(!watch.is_over(Millis(999)) && watch.is_over(Millis(1000)));
    }
}
