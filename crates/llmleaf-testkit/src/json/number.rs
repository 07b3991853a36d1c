//! Numbers by value without floating point: `1e2`, `100` and `100.0` are one number, and so are two
//! spellings far beyond what a float can hold.

/// Sign, significant digits without zeros at either end, and the power of ten of the last digit.
pub(super) fn canonical(raw: &str) -> (bool, String, i128) {
    let (negative, rest) = match raw.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, raw),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(i64::MAX)),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let power =
        i128::from(exponent) - fraction.len() as i128 + (digits.len() - significant.len()) as i128;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    (negative, significant.to_owned(), power)
}
