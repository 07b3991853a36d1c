//! `[[prices]]`, and the table of prices that `server.prices_file` names: what models cost beside what the program knows.

use llmleaf_prices::{Book, Rates, Service, Sheet, Tier, TokenRates, UnitRates};
use toml::de::DeValue;

use crate::diagnose::Diagnostic;
use crate::nearest;
use crate::read::{At, Reading, Table};
use crate::secrets;

/// What the configuration says of prices.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// The table that is named, by kind of provider.
    pub table: Book,
    /// The `[[prices]]` tables, in file order: later ones count.
    pub entries: Vec<PriceEntry>,
}

/// One `[[prices]]` table.
#[derive(Debug, PartialEq, Eq)]
pub struct PriceEntry {
    /// Configured name of the provider; `None` is every one.
    pub provider: Option<String>,
    /// The model's name there; `*` stands for any text.
    pub model: String,
    /// What is known of it.
    pub sheet: Sheet,
}

/// Largest table, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Reads `[[prices]]`.
pub(crate) fn read(
    cx: &Reading<'_>,
    root: &mut Table<'_>,
    providers: &[At<String>],
) -> Vec<PriceEntry> {
    let tables = root.tables(cx, "prices");
    let each = tables
        .into_iter()
        .filter_map(|table| entry(cx, table, providers));
    each.collect()
}

fn entry(cx: &Reading<'_>, mut table: Table<'_>, providers: &[At<String>]) -> Option<PriceEntry> {
    let help = "the model's name at its provider, such as `gpt-4o`; `*` stands for any text";
    let model = table.required(cx, "model", help);
    let provider = table.string(cx, "provider");
    if let Some(at) = &provider
        && !cx.incomplete
        && !providers.iter().any(|known| known.value == at.value)
    {
        let names: Vec<&str> = providers.iter().map(|name| name.value.as_str()).collect();
        let message = format!("no provider is named `{}`", at.value);
        cx.report(
            Diagnostic::error(&at.place, message, "not among the providers")
                .maybe_help(nearest::suggestion(&at.value, "there are", &names)),
        );
    }
    let tokens = tokens(cx, &mut table);
    let long = table.table(cx, "long").and_then(|mut long| {
        let help = "the number of input tokens above which these rates count";
        let above = long.whole(cx, "above", 1..=u64::MAX / 2);
        if above.is_none() && !long.has("above") {
            long.missing(cx, "above", help);
        }
        let tokens = self::tokens(cx, &mut long);
        long.finish(cx);
        Some(Tier {
            above: above?,
            tokens,
        })
    });
    let services = services(cx, &mut table);
    let mut money = |key| dollars(cx, &mut table, key, Some("dollars, such as `0.25`"));
    let units = UnitRates {
        audio_hour: money("audio_hour"),
        characters: money("characters"),
        image: money("image"),
        search: money("search"),
        server_tool_call: money("server_tool_call"),
        request: money("request"),
    };
    let batch = dollars(cx, &mut table, "batch", Some("a share, such as `0.5`"));
    let sheet = Sheet {
        rates: Rates {
            tokens,
            tiers: long.into_iter().collect(),
            services,
            units,
            batch_permille: batch.and_then(|share| u16::try_from(share / 1_000_000).ok()),
        },
        context: table.whole(cx, "context", 1..=u64::MAX / 2),
        max_output: table.whole(cx, "max_output", 1..=u64::MAX / 2),
    };
    table.finish(cx);
    Some(PriceEntry {
        provider: provider.map(|at| at.value),
        model: model?.value,
        sheet,
    })
}

/// Rates of classes of service, by their names.
fn services(cx: &Reading<'_>, table: &mut Table<'_>) -> Vec<(Box<str>, Service)> {
    let Some(tiers) = table.table(cx, "tiers") else {
        return Vec::new();
    };
    let names = tiers.free_keys();
    let each = names.iter().filter_map(|name| {
        let mut one = tiers.free_table(cx, name)?;
        let tokens = tokens(cx, &mut one);
        one.finish(cx);
        Some((name.value.to_ascii_lowercase().into(), Service::Own(tokens)))
    });
    each.collect()
}

fn tokens(cx: &Reading<'_>, table: &mut Table<'_>) -> TokenRates {
    let mut rate = |key| {
        dollars(
            cx,
            table,
            key,
            Some("dollars per million tokens, such as `0.25`"),
        )
    };
    TokenRates {
        input: rate("input"),
        output: rate("output"),
        cache_read: rate("cache_read"),
        cache_write: rate("cache_write"),
        cache_write_1h: rate("cache_write_1h"),
        reasoning: rate("reasoning"),
        input_audio: rate("input_audio"),
        input_image: rate("input_image"),
        output_audio: rate("output_audio"),
        output_image: rate("output_image"),
    }
}

/// An amount of dollars as nano-dollars: read from the digits as written, so that no float comes between. Where `optional` has a help, it may be left out.
pub(crate) fn dollars(
    cx: &Reading<'_>,
    table: &mut Table<'_>,
    key: &'static str,
    optional: Option<&str>,
) -> Option<u64> {
    let help = optional.unwrap_or("dollars per million tokens, such as `0.25`");
    let Some(At { value, place }) = table.value(key) else {
        if optional.is_none() {
            table.missing(cx, key, help);
        }
        return None;
    };
    let text = match value {
        DeValue::Integer(n) if n.radix() == 10 => n.as_str(),
        DeValue::Float(n) => n.as_str(),
        DeValue::String(text) => text,
        _ => "",
    };
    let nanos = llmleaf_model::preferences::nano_dollars(text);
    if nanos.is_none() {
        let message = format!("`{key}` is no price");
        cx.report(Diagnostic::error(&place, message, "not a number of dollars").help(help));
    }
    nanos
}

/// Reads the table that `server.prices_file` names.
pub(crate) fn table(cx: &Reading<'_>, server: &mut Table<'_>) -> Book {
    let mut book = Book::default();
    let Some(at) = server.string(cx, "prices_file") else {
        return book;
    };
    let path = cx.file(&at.value);
    let text = match std::fs::metadata(&path) {
        Ok(found) if found.len() > MAX_FILE => Err(format!("it is larger than {MAX_FILE} bytes")),
        _ => std::fs::read_to_string(&path).map_err(|error| secrets::plain(&error)),
    };
    let read = text.and_then(|text| {
        let taken = llmleaf_prices::file::read(&text, &mut book);
        taken.map_err(|error| error.to_string())
    });
    match read {
        Ok(0) => cx.report(Diagnostic::warning(
            &at.place,
            "no price was found in this table",
            "nothing to read",
        )),
        Ok(_) => {}
        Err(why) => {
            let message = format!("cannot use the table of prices: {why}");
            cx.report(Diagnostic::error(&at.place, message, "").help(
                "a JSON object with a member per model, as `model_prices_and_context_window.json` has it",
            ));
        }
    }
    book
}
