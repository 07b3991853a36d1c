//! How long an upstream asks to wait.

use llmleaf_model::FailureKind;
use std::time::Duration;

/// Longest wait that is believed; more is cut to it.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads `retry-after-ms`, `retry-after` in seconds, and, for rate limits only, the shortest reset of a limit that is
/// used up. Dates need a clock and are passed over, like negative and malformed numbers.
pub(super) fn retry_after(
    kind: FailureKind,
    header: &dyn Fn(&str) -> Option<String>,
) -> Option<Duration> {
    let number = |name: &str, unit: f64| {
        let value = header(name)?.trim().parse::<f64>().ok()?;
        seconds(value * unit)
    };
    number("retry-after-ms", 0.001)
        .filter(|wait| !wait.is_zero())
        .or_else(|| number("retry-after", 1.0))
        .or_else(|| {
            (kind == FailureKind::RateLimit)
                .then(|| reset(header))
                .flatten()
        })
}

/// The longest reset among the limits with nothing remaining.
fn reset(header: &dyn Fn(&str) -> Option<String>) -> Option<Duration> {
    ["requests", "tokens"]
        .into_iter()
        .filter(|what| {
            header(&["x-ratelimit-remaining-", what].concat())
                .is_some_and(|left| left.trim() == "0")
        })
        .filter_map(|what| span(&header(&["x-ratelimit-reset-", what].concat())?))
        .max()
}

/// `1s`, `6m0s`, `23m2.4s`, `12ms`, `1h2m3s`, `2d`.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at_checked(digits)?;
        let end = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        let (unit, after) = unit.split_at_checked(end)?;
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    seconds(total)
}

fn seconds(value: f64) -> Option<Duration> {
    if !value.is_finite() || value < 0.0 {
        return None;
    }
    Some(Duration::from_secs_f64(value.min(MAX_WAIT.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&str, &str)]) -> Option<Duration> {
        retry_after(FailureKind::RateLimit, &|name| {
            headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn waits_are_read_and_bounded() {
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(
            wait(&[("retry-after", "1"), ("retry-after-ms", "0")]),
            ms(1000)
        );
        assert_eq!(
            wait(&[("retry-after", "9"), ("retry-after-ms", "250")]),
            ms(250)
        );
        assert_eq!(wait(&[("retry-after", "1.5")]), ms(1500));
        assert_eq!(wait(&[("retry-after", "99999999")]), Some(MAX_WAIT));
        for bad in ["-1", "1e309", "NaN", "", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(wait(&[("retry-after", bad)]), None, "{bad}");
        }
        assert_eq!(
            wait(&[
                ("x-ratelimit-remaining-requests", "984"),
                ("x-ratelimit-reset-requests", "23m2.4s"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "6.56s"),
            ]),
            ms(6560)
        );
        assert_eq!(span("1h2m3s"), Some(Duration::from_secs(3723)));
        assert_eq!(span("12ms"), ms(12));
        assert_eq!(span("6"), None);
    }
}
