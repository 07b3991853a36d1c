//! Dollars from text: as near to the floating-point reading as that is exact, and none only for what is no amount.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llmleaf_model::usage::nano_usd;

fuzz_target!(|text: &str| {
    let read = nano_usd(text);
    let float = text.trim().parse::<f64>().ok().map(|dollars| dollars * 1e9);
    match (read, float) {
        (Some(nano), Some(float)) => {
            let nano = nano as f64;
            let slack = 1.0 + nano.max(float) * 1e-12;
            assert!((nano - float).abs() <= slack, "{text:?}: {nano} or {float}");
        }
        (Some(nano), None) => panic!("{text:?} was read as {nano}"),
        (None, Some(float)) => {
            // Malformed for JSON, though not for a float, or too large for a bill.
            let malformed = !text.trim().starts_with(|c: char| c.is_ascii_digit());
            let exponent = text.contains(['e', 'E']);
            assert!(
                malformed || float >= 1e19 || exponent,
                "{text:?} was not read"
            );
        }
        (None, None) => {}
    }
});
