//! Which trace an exchange is a part of, as callers and providers tell one another: `traceparent` and `tracestate` of "Trace Context"
//! (<https://www.w3.org/TR/trace-context-2/>, read 2026-11).
//!
//! A trace is read strictly, and what is no trace is as if it were not there: nobody is refused for it. Spans have ids that follow from the
//! exchange's own, so that what a provider is told and what is exported at the end agree, with nothing kept in between.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// Says of which trace a request is a part, and of which span.
pub const PARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracing systems say beside it.
pub const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Most bytes of a state that go on. Members at its end go first.
const STATE_BYTES: usize = 512;
/// The flag of a trace that somebody records.
const SAMPLED: u8 = 1;
/// The flags that this version knows: sampled, and that the id is of chance.
const KNOWN_FLAGS: u8 = 3;
/// Length of the header in the version that is known.
const LENGTH: usize = 55;

/// A trace, and the exchange's place in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 16],
    /// Whoever called, where they said so.
    caller: Option<SpanId>,
    /// The exchange itself, where it is exported.
    own: Option<SpanId>,
    flags: u8,
    state: Option<HeaderValue>,
}

/// The id of a span; never nothing but zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl SpanId {
    fn new(bits: u64) -> Self {
        Self(bits.max(1))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Trace {
    /// The one that a request is a part of, without what tracing systems say beside it.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut told = headers.get_all(&PARENT).iter();
        let (Some(told), None) = (told.next(), told.next()) else {
            return None;
        };
        let (id, caller, flags) = parent(told.as_bytes())?;
        Some(Self {
            id,
            caller: Some(caller),
            own: None,
            flags,
            state: None,
        })
    }

    /// What tracing systems say beside it goes on, too. To be asked for where somebody takes it.
    #[must_use]
    pub fn with_state(mut self, headers: &HeaderMap) -> Self {
        self.state = state(headers);
        self
    }

    /// One that begins here. `chance` are random bits.
    pub fn begin(chance: [u64; 2]) -> Self {
        let [high, low] = chance;
        let bits = (u128::from(high) << 64 | u128::from(low)).max(1);
        Self {
            id: bits.to_be_bytes(),
            caller: None,
            own: None,
            // The right half of the id is of chance.
            flags: KNOWN_FLAGS,
            state: None,
        }
    }

    /// Whether whoever is in front records it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The exchange is a span of it. `chance` are random bits.
    #[must_use]
    pub fn with_span(mut self, chance: u64) -> Self {
        self.own = Some(SpanId::new(chance));
        self
    }

    /// Whoever called.
    pub fn caller(&self) -> Option<SpanId> {
        self.caller
    }

    /// The exchange itself, where it is exported.
    pub fn own(&self) -> Option<SpanId> {
        self.own
    }

    /// An attempt of it.
    pub fn attempt(&self, number: u32) -> Option<SpanId> {
        let own = self.own?.0;
        // Neighbours become far apart (the finalizer of SplitMix64), and no two of one exchange are the same.
        let mut bits = own ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(SpanId::new(bits ^ (bits >> 31)))
    }

    /// The flags, as spans have them too.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// What tracing systems said beside it.
    pub fn state(&self) -> Option<&str> {
        self.state.as_ref().and_then(|state| state.to_str().ok())
    }

    /// Tells it to the provider of an attempt: as a part of that attempt where it is exported, else of whoever called.
    pub fn tell(&self, attempt: u32, headers: &mut HeaderMap) {
        let Some(parent) = self.attempt(attempt).or(self.caller) else {
            return;
        };
        let text = format!("00-{self}-{parent}-{:02x}", self.flags);
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(PARENT, value);
            if let Some(state) = &self.state {
                headers.insert(STATE, state.clone());
            }
        }
    }
}

/// Its id.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.id))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({self})")
    }
}

fn parent(told: &[u8]) -> Option<([u8; 16], SpanId, u8)> {
    let (known, more) = told.split_at_checked(LENGTH)?;
    let [version, id, parent, flags] = fields(known)?;
    let version = u8::try_from(hex(version)?).ok()?;
    // A later version may say more, behind a dash; 255 is none.
    let fits = match version {
        0 => more.is_empty(),
        255 => false,
        _ => more.is_empty() || more.first() == Some(&b'-'),
    };
    let id = hex(id).filter(|id| *id != 0 && fits)?;
    let parent = hex(parent).filter(|parent| *parent != 0)?;
    let flags = u8::try_from(hex(flags)?).ok()?;
    let parent = SpanId(u64::try_from(parent).ok()?);
    Some((id.to_be_bytes(), parent, flags & KNOWN_FLAGS))
}

fn fields(known: &[u8]) -> Option<[&[u8]; 4]> {
    let mut parts = known.split(|byte| *byte == b'-');
    let mut next = |length| parts.next().filter(|part| part.len() == length);
    let fields = [next(2)?, next(32)?, next(16)?, next(2)?];
    parts.next().is_none().then_some(fields)
}

/// Digits in lower case, and nothing else.
fn hex(digits: &[u8]) -> Option<u128> {
    let plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = std::str::from_utf8(digits).ok()?;
    let whole = digits.iter().all(plain).then_some(text)?;
    u128::from_str_radix(whole, 16).ok()
}

/// All lines of the state as one, as far as it may be long.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = String::new();
    for line in &headers.get_all(&STATE) {
        let line = line.to_str().ok()?;
        let members = line.split(',').map(str::trim);
        for member in members.filter(|member| !member.is_empty()) {
            if all.len() + 1 + member.len() > STATE_BYTES {
                return HeaderValue::try_from(all).ok().filter(|v| !v.is_empty());
            }
            if !all.is_empty() {
                all.push(',');
            }
            all.push_str(member);
        }
    }
    HeaderValue::try_from(all).ok().filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in lines {
            all.append(name, HeaderValue::from_str(value).expect("a header"));
        }
        all
    }

    /// What the provider of the first attempt is told.
    fn told(trace: &Trace) -> [String; 2] {
        let mut headers = HeaderMap::new();
        trace.tell(1, &mut headers);
        [PARENT, STATE].map(|name| {
            let value = headers.get(name).map(|value| value.to_str());
            value.and_then(Result::ok).unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn what_is_a_trace_goes_on_as_it_came() {
        for (sent, goes) in [
            (GOOD, GOOD),
            // Flags that are not known yet are not told on.
            (&GOOD.replace("-01", "-fe"), &GOOD.replace("-01", "-02")),
            // A later version is understood as this one.
            (&GOOD.replacen("00", "01", 1), GOOD),
            (&(GOOD.replacen("00", "01", 1) + "-more"), GOOD),
        ] {
            let trace = Trace::of(&headers(&[(PARENT, sent)])).expect(sent);
            assert_eq!(told(&trace), [goes, ""]);
        }
    }

    #[test]
    fn what_is_none_is_as_if_it_were_not_there() {
        for sent in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("4bf92f", "+bf92f"),
            &(GOOD.to_owned() + "-more"),
            &(GOOD.replacen("00", "01", 1) + "more"),
        ] {
            assert_eq!(Trace::of(&headers(&[(PARENT, sent)])), None, "{sent}");
        }
        assert_eq!(Trace::of(&headers(&[(PARENT, GOOD), (PARENT, GOOD)])), None);
        assert_eq!(Trace::of(&headers(&[(STATE, "a=b")])), None);
    }

    #[test]
    fn a_state_of_several_lines_is_one_and_not_too_long() {
        let long = format!("long={}", "x".repeat(300));
        let lines = [
            (PARENT, GOOD),
            (STATE, "a=1, ,b=2"),
            (STATE, &long),
            (STATE, &long),
        ];
        let headers = headers(&lines);
        let trace = Trace::of(&headers).expect("a trace");
        assert_eq!(told(&trace)[1], "", "nobody takes it");
        let trace = trace.with_state(&headers);
        assert_eq!(told(&trace)[1], format!("a=1,b=2,{long}"));
    }

    #[test]
    fn an_exported_exchange_is_the_parent_of_what_its_attempts_ask() {
        let caller = Trace::of(&headers(&[(PARENT, GOOD)])).expect("a trace");
        let own = caller.clone().with_span(7);
        let first = own.attempt(1).expect("a span");
        assert_eq!(told(&own)[0], format!("00-{own}-{first}-01"));
        assert_eq!(
            (own.caller(), own.attempt(1)),
            (caller.caller(), Some(first))
        );
        let all: std::collections::HashSet<_> = (0..100).map(|n| own.attempt(n)).collect();
        assert_eq!(all.len(), 100);
        assert!(!all.contains(&own.own()));
        let begun = Trace::begin([0, 0]).with_span(0);
        assert!(begun.is_sampled() && begun.caller().is_none());
        assert_eq!(format!("{begun} {}", begun.own().expect("one")).len(), 49);
    }
}
