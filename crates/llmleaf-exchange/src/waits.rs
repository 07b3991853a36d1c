//! How long an upstream's headers ask to wait, in the forms that need a clock: dates and moments.
//!
//! Services tell their limits with every reply, errors of every kind among them; only a refusal for a limit is mended by its reset.
//!
//! Forms, by who sends them (their documentation, read 2026-11): `retry-after` as an HTTP date (RFC 9110, 10.2.3);
//! `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-reset` as RFC 3339, with `…-remaining`; `x-ratelimit-reset`
//! in milliseconds since 1970 (OpenRouter) or in seconds. The forms that need none are read by the dialects.

use http::HeaderMap;
use llmleaf_dialects::headers::DATED_LIMITS;
use llmleaf_model::FailureKind;
use std::time::Duration;

/// Longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What counts as a moment and not as a length: the year 2001, in seconds.
const MOMENT: f64 = 1e9;

/// The wait that the headers of a failure state as a moment. `now` is the unix time, in seconds, unless the upstream says its own.
pub(crate) fn stated(headers: &HeaderMap, kind: FailureKind, now: u64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let now = text("date").and_then(http_date).unwrap_or(now);
    let from = |moment: u64| Duration::from_secs(moment.checked_sub(now)?).into();
    let dated: Option<Duration> = text("retry-after").and_then(http_date).and_then(from);
    let spent = |what: &str| {
        text(&[DATED_LIMITS, what, "-remaining"].concat()).is_some_and(|left| left.trim() == "0")
    };
    let reset = |what: &str| {
        let moment = rfc3339(text(&[DATED_LIMITS, what, "-reset"].concat())?)?;
        from(moment)
    };
    let limits = ["requests", "tokens", "input-tokens", "output-tokens"];
    let by_limits = || {
        let resets = limits.into_iter().filter(|w| spent(w)).filter_map(reset);
        let left = text("x-ratelimit-remaining").map_or("0", str::trim);
        let plain = || plain_reset(text("x-ratelimit-reset").filter(|_| left == "0")?, now);
        resets.max().or_else(plain)
    };
    let limited = kind == FailureKind::RateLimit;
    let wait = dated.or_else(|| limited.then(by_limits).flatten());
    wait.filter(|wait| !wait.is_zero())
        .map(|wait| wait.min(LONGEST))
}

fn plain_reset(text: &str, now: u64) -> Option<Duration> {
    let value: f64 = text.trim().parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "unix seconds fit")]
    let now = now as f64;
    let seconds = if value > MOMENT * 1000.0 {
        value / 1000.0 - now
    } else if value > MOMENT {
        value - now
    } else {
        value
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as unix seconds.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.trim().split_once(", ")?;
    let mut parts = rest.strip_suffix(" GMT")?.split(' ');
    let day = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let year = parts.next()?.parse().ok()?;
    let time = clock(parts.next()?)?;
    moment(year, u64::try_from(month).ok()? + 1, day, time)
}

/// `2026-11-25T12:00:00Z`, with a fraction or an offset, as unix seconds, rounded up.
fn rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.trim().split_once(['T', 't', ' '])?;
    let mut parts = date.split('-').map(str::parse::<u64>);
    let (year, month, day) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    let end = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(end)?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let up = u64::from(fraction.bytes().any(|b| b != b'0'));
    let at = moment(year, month, day, clock(whole)? + up)?;
    let Some((hours, minutes)) = zone.get(1..).and_then(|zone| zone.split_once(':')) else {
        return Some(at);
    };
    let part = |text: &str| text.parse::<u32>().ok().map(u64::from);
    let offset = part(hours)? * 3600 + part(minutes)? * 60;
    if zone.starts_with('-') {
        at.checked_add(offset)
    } else {
        at.checked_sub(offset)
    }
}

/// `08:49:37` in seconds.
fn clock(text: &str) -> Option<u64> {
    let mut parts = text.split(':').map(str::parse::<u64>);
    let (hours, minutes, seconds) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    (hours < 24 && minutes < 60 && seconds <= 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Unix seconds of a day and a time of day; years 1970 to 9999.
fn moment(year: u64, month: u64, day: u64, seconds: u64) -> Option<u64> {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let before = BEFORE.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let days = (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
        + before
        + u64::from(leap && month > 2)
        + (day - 1);
    Some(days * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOW: u64 = 1_795_651_200; // 2026-11-26T00:00:00Z

    fn wait(pairs: &[(&'static str, &'static str)]) -> Option<u64> {
        wait_of(FailureKind::RateLimit, pairs)
    }

    fn wait_of(kind: FailureKind, pairs: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        stated(&headers, kind, NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn moments_are_read() {
        assert_eq!(
            http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        assert_eq!(rfc3339("2026-11-26T00:00:00Z"), Some(NOW));
        assert_eq!(rfc3339("2026-11-26T01:30:00.5+01:30"), Some(NOW + 1));
        assert_eq!(rfc3339("2024-02-29T12:00:00Z"), Some(1_709_208_000));
        for bad in [
            "",
            "soon",
            "2026-13-01T00:00:00Z",
            "2026-11-26",
            "1-1-1T1:1:1Z",
            "2026-11-26T00:00:00+9999999999999999999:00",
            "2026-11-26T00:00:00-00:18446744073709551615",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_form_gives_what_is_left() {
        for (pairs, expected) in [
            (
                &[("retry-after", "Thu, 26 Nov 2026 00:00:30 GMT")][..],
                Some(30),
            ),
            (
                &[
                    ("retry-after", "Thu, 26 Nov 2026 00:00:30 GMT"),
                    ("date", "Thu, 26 Nov 2026 00:00:20 GMT"),
                ],
                Some(10),
            ),
            (&[("retry-after", "Thu, 26 Nov 2020 00:00:30 GMT")], None),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "7"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-26T01:00:00Z"),
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2026-11-26T00:00:42Z"),
                ],
                Some(42),
            ),
            (&[("x-ratelimit-reset", "1795651205000")], Some(5)),
            (&[("x-ratelimit-reset", "1795651207")], Some(7)),
            (&[("x-ratelimit-reset", "9")], Some(9)),
            (&[("x-ratelimit-reset", "1e309")], None),
            (
                &[("retry-after", "Thu, 26 Nov 9026 00:00:30 GMT")],
                Some(86_400),
            ),
            (&[], None),
        ] {
            assert_eq!(wait(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_limit_s_reset_mends_what_the_limit_refused_and_nothing_else() {
        use FailureKind::{Credential, Overloaded, Quota, RateLimit, Server};
        let reset = ("x-ratelimit-reset", "3600");
        let left = ("x-ratelimit-remaining", "12");
        let none = ("x-ratelimit-remaining", " 0");
        let spent = ("anthropic-ratelimit-tokens-remaining", "0");
        let until = ("anthropic-ratelimit-tokens-reset", "2026-11-26T00:00:42Z");
        let dated = ("retry-after", "Thu, 26 Nov 2026 00:00:30 GMT");
        for (kind, pairs, expected) in [
            (RateLimit, &[reset][..], Some(3600)),
            (RateLimit, &[reset, none], Some(3600)),
            (RateLimit, &[reset, left], None),
            (RateLimit, &[reset, left, spent, until], Some(42)),
            (Server, &[reset], None),
            (Overloaded, &[spent, until], None),
            (Credential, &[reset, none], None),
            (Quota, &[reset], None),
            (Server, &[reset, dated], Some(30)),
            (Credential, &[dated], Some(30)),
        ] {
            assert_eq!(wait_of(kind, pairs), expected, "{kind:?} {pairs:?}");
        }
    }
}
