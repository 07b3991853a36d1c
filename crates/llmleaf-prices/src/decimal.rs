//! Decimal numbers as integers of a smaller unit, read from their digits so that no float comes between.

/// A decimal number, as JSON spells it, times ten to the power of `places`. Digits beyond that are cut off. `None` for what is
/// negative, malformed or too large.
pub fn scaled(text: &str, places: u32) -> Option<u64> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if whole.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // How many of the digits count, or how many zeros follow them.
    let kept = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(places);
    let mut value: u64 = 0;
    for place in 0..kept.max(0) {
        let digit = usize::try_from(place).ok().and_then(|at| digits.get(at));
        let digit = digit.map_or(0, |byte| u64::from(byte - b'0'));
        if digit == 0 && value == 0 && place >= i64::try_from(digits.len()).ok()? {
            return Some(0);
        }
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    Some(value)
}

/// Nano-dollars as a decimal number of dollars, without needless zeros.
pub fn dollars(nano: u64) -> String {
    decimal(nano, 9)
}

/// A rate in nano-dollars per million tokens as a decimal number of dollars per token, without needless zeros.
pub fn dollars_per_token(rate: u64) -> String {
    decimal(rate, 15)
}

/// A number of the smaller unit as one of the larger. By hand, since it is done for each priced answer.
fn decimal(value: u64, places: u32) -> String {
    let one = 10u64.pow(places);
    let (mut whole, mut fraction, mut places) = (value / one, value % one, places);
    while places > 0 && fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    let digit = |number: u64| char::from(b'0' + u8::try_from(number % 10).unwrap_or_default());
    // From the last digit to the first.
    let mut text = Vec::with_capacity(24);
    for _ in 0..places {
        text.push(digit(fraction));
        fraction /= 10;
    }
    if places > 0 {
        text.push('.');
    }
    loop {
        text.push(digit(whole));
        whole /= 10;
        if whole == 0 {
            break;
        }
    }
    text.into_iter().rev().collect()
}
