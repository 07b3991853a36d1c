//! The table that comes with the program: few prices, each read on its provider's own page or where that page is quoted, with source and
//! date. What is not in it is unknown, until the configuration or a table of the operator's says it.
//!
//! A line that begins with `provider` begins a provider: its kind, and what of a price is to be paid for a batch, and in the class of service
//! `flex`, in thousandths. Every other
//! line is a model: its names, then fields and their values; dollars per million tokens unless a field's name says otherwise. After `above`
//! and a number of tokens stand the rates of longer prompts; after `tier` and a name, behind those, the rates of a class of service. A line with `from` and a date counts from that day on.

use crate::book::{Book, Sheet};
use crate::decimal::scaled;
use crate::rates::{Rates, Service, Tier, TokenRates};

const TABLE: &str = include_str!("shipped.txt");

/// Dollars, and dollars per million tokens or characters, in nano-dollars.
const NANO: u32 = 9;

/// The prices that are known for a day (`2026-11-26`).
pub fn book(today: &str) -> Book {
    let mut book = Book::default();
    // What cannot be read is left out; a test reads every line.
    let _ = read(TABLE, today, &mut book);
    book
}

/// Reads a table of this form.
///
/// # Errors
/// The number of a line that is not of the form; the others are taken.
pub fn read(table: &str, today: &str, book: &mut Book) -> Result<(), usize> {
    let mut provider = None;
    let mut batch = None;
    let mut flex = None;
    let mut refused = None;
    for (index, line) in table.lines().enumerate() {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let taken = match words.as_slice() {
            [] => Some(()),
            ["provider", name, rest @ ..] => {
                provider = Some(*name);
                batch = match rest {
                    ["batch", permille, ..] => permille.parse().ok(),
                    _ => None,
                };
                flex = match rest {
                    [.., "flex", permille] => permille.parse().ok(),
                    _ => None,
                };
                Some(())
            }
            words => provider.and_then(|provider| {
                let (names, sheet) = model(words, today, (batch, flex))?;
                for name in names.into_iter().take_while(|_| sheet.is_some()) {
                    book.of(provider)
                        .set(name, sheet.clone().unwrap_or_default());
                }
                Some(())
            }),
        };
        if taken.is_none() {
            refused = refused.or(Some(index + 1));
        }
    }
    refused.map_or(Ok(()), Err)
}

/// The names of a model, and what is known of it; nothing yet where its day has not come.
fn model<'a>(
    words: &[&'a str],
    today: &str,
    (batch, flex): (Option<u16>, Option<u16>),
) -> Option<(Vec<&'a str>, Option<Sheet>)> {
    let first = words.iter().position(|word| FIELDS.contains(word))?;
    let (names, fields) = words.split_at_checked(first)?;
    let mut sheet = Sheet::default();
    let mut tiers: Vec<Tier> = Vec::new();
    let mut rates = Rates {
        batch_permille: batch,
        ..Rates::default()
    };
    let mut due = true;
    let mut fields = fields.chunks_exact(2);
    for pair in fields.by_ref() {
        let [field, value] = pair else {
            return None;
        };
        let money = || Some(scaled(value, NANO));
        let tokens = match (rates.services.last_mut(), tiers.last_mut()) {
            (Some((_, Service::Own(tokens))), _) => tokens,
            (_, Some(tier)) => &mut tier.tokens,
            (_, None) => &mut rates.tokens,
        };
        match *field {
            "in" => tokens.input = money()?,
            "out" => tokens.output = money()?,
            "read" => tokens.cache_read = money()?,
            "write" => tokens.cache_write = money()?,
            "write_1h" => tokens.cache_write_1h = money()?,
            "reasoning" => tokens.reasoning = money()?,
            "audio_in" => tokens.input_audio = money()?,
            "audio_out" => tokens.output_audio = money()?,
            "image_in" => tokens.input_image = money()?,
            "image_out" => tokens.output_image = money()?,
            "audio_hour" => rates.units.audio_hour = money()?,
            "characters" => rates.units.characters = money()?,
            "image" => rates.units.image = money()?,
            "search" => rates.units.search = money()?,
            "above" => tiers.push(Tier {
                above: value.parse().ok()?,
                ..Tier::default()
            }),
            "tier" => rates
                .services
                .push(((*value).into(), Service::Own(TokenRates::default()))),
            "context" => sheet.context = Some(value.parse().ok()?),
            "max" => sheet.max_output = Some(value.parse().ok()?),
            "from" => due = *value <= today,
            _ => return None,
        }
    }
    if !fields.remainder().is_empty() || names.is_empty() {
        return None;
    }
    rates.tiers = tiers;
    rates
        .services
        .extend(flex.map(|permille| ("flex".into(), Service::Share(permille))));
    sheet.rates = rates;
    Some((names.to_vec(), due.then_some(sheet)))
}

const FIELDS: &[&str] = &[
    "in",
    "out",
    "read",
    "write",
    "write_1h",
    "reasoning",
    "audio_in",
    "audio_out",
    "image_in",
    "image_out",
    "audio_hour",
    "characters",
    "image",
    "search",
    "above",
    "tier",
    "context",
    "max",
    "from",
];

/// The day of a unix time, as the table writes days (Howard Hinnant's `civil_from_days`, public domain).
pub fn day(unix_secs: u64) -> String {
    let days = unix_secs / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
