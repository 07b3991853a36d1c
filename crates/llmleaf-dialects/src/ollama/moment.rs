//! Times: this wire writes them as RFC 3339, the model has unix seconds.

/// Seconds of a day.
const DAY: i64 = 86_400;
/// The last second of the year 9999, past which the format has no digits.
const LAST: u64 = 253_402_300_799;

/// A time as this wire writes it.
pub(crate) fn written(unix: u64) -> String {
    let unix = i64::try_from(unix.min(LAST)).unwrap_or(0);
    let (days, second) = (unix.div_euclid(DAY), unix.rem_euclid(DAY));
    // Days since 0000-03-01, in eras of 400 years (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let moved = (5 * of_year + 2) / 153;
    let day = of_year - (153 * moved + 2) / 5 + 1;
    let month = if moved < 10 { moved + 3 } else { moved - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z",
        second % 60
    )
}

/// The unix seconds of a time on this wire; `None` where it cannot be read or lies before 1970.
pub(crate) fn read(text: &str) -> Option<u64> {
    let (date, clock) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone = clock.find(['Z', '+', '-'])?;
    let (clock, zone) = clock.split_at_checked(zone)?;
    let clock = clock.split('.').next()?;
    let mut parts = clock.splitn(3, ':').map(digits);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, moved) = (year.div_euclid(400), (month + 9) % 12);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * moved + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let unix = days * DAY + hour * 3600 + minute * 60 + second - offset(zone)?;
    u64::try_from(unix).ok()
}

/// Seconds that a zone is ahead.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next()? {
        'Z' => return Some(0),
        '-' => -1,
        _ => 1,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{read, written};
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_services_write_them() {
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2025-08-20T13:47:54.490267Z", Some(1_755_697_674)),
            ("2023-08-04T08:52:19.385406455-07:00", Some(1_691_164_339)),
            ("2024-02-29T23:59:59+00:00", Some(1_709_251_199)),
            ("1969-12-31T23:59:59Z", None),
            ("2025-13-01T00:00:00Z", None),
            ("2025-08-20", None),
            ("", None),
        ] {
            assert_eq!(read(text), unix, "{text}");
        }
        assert_eq!(written(1_709_251_199), "2024-02-29T23:59:59Z");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(unix in 0..super::LAST) {
            prop_assert_eq!(read(&written(unix)), Some(unix));
        }
    }
}
