//! Which format a scraper wants, by its `Accept` header (RFC 9110, section 12.5.1).

use crate::text::Format;

/// Weights are thousandths.
const FULL: u32 = 1000;

/// The format that the header weighs highest: OpenMetrics unless it prefers the older one. Whoever says nothing, or takes anything, gets
/// OpenMetrics.
pub fn negotiate(accept: Option<&str>) -> Format {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Format::OpenMetrics;
    };
    let open = weight(accept, "application", "openmetrics-text", |version| {
        matches!(version, "1.0.0" | "0.0.1")
    });
    let plain = weight(accept, "text", "plain", |version| version == "0.0.4");
    // Who takes neither is answered as well: an answer in the wrong form says more than none.
    match plain > open {
        true => Format::Prometheus,
        false => Format::OpenMetrics,
    }
}

/// How much a media type is wanted: what names it most closely counts.
fn weight(accept: &str, kind: &str, subkind: &str, known: impl Fn(&str) -> bool) -> u32 {
    let mut best = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let (own, sub) = media.split_once('/').unwrap_or((media, "*"));
        let closeness = match (own, sub) {
            _ if own.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subkind) => 3,
            (_, "*") if own.eq_ignore_ascii_case(kind) => 2,
            ("*", "*") => 1,
            _ => continue,
        };
        let (mut weight, mut fits) = (FULL, true);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => weight = thousandths(value),
                "version" => fits = known(value),
                _ => {}
            }
        }
        if fits {
            best = best.max((closeness, weight));
        }
    }
    best.1
}

/// `0.75` as 750. What is no weight weighs nothing.
fn thousandths(text: &str) -> u32 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "1" if part.bytes().all(|b| b == b'0') => FULL,
        "0" if digits(part) => format!("{part:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapers_get_what_they_ask_for() {
        use Format::{OpenMetrics, Prometheus};
        // As Prometheus asks (its document "Scrape protocol content negotiation", read 2026-11).
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,application/openmetrics-text;version=0.0.1;q=0.7,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (None, OpenMetrics),
            (Some(""), OpenMetrics),
            (Some("*/*"), OpenMetrics),
            (Some(prometheus), OpenMetrics),
            (Some("text/plain"), Prometheus),
            (Some("text/plain;version=0.0.4;q=1,*/*;q=0.1"), Prometheus),
            (
                Some("text/*, application/openmetrics-text;q=0.5"),
                Prometheus,
            ),
            (
                Some("TEXT/PLAIN; Version=0.0.4; Q=0.9, */*;q=0.1"),
                Prometheus,
            ),
            // Another version of it is not what we have.
            (
                Some("application/openmetrics-text;version=2.0.0,text/plain;q=0.5"),
                Prometheus,
            ),
            (
                Some("text/plain;version=1.0.0;q=0.4,*/*;q=0.1"),
                OpenMetrics,
            ),
            (
                Some("application/openmetrics-text;q=0,text/plain;q=0.001"),
                Prometheus,
            ),
            (
                Some("application/openmetrics-text;q=nonsense,text/plain;q=0.001"),
                Prometheus,
            ),
            (Some("image/png"), OpenMetrics),
        ] {
            assert_eq!(negotiate(accept), format, "{accept:?}");
        }
    }
}
