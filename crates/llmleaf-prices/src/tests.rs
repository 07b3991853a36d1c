use crate::book::{Book, Sheet, Tariff};
use crate::decimal::{dollars, dollars_per_token, scaled};
use crate::rates::{Rates, Tier, TokenRates, UnitRates};
use crate::{file, shipped};
use llmleaf_model::{Units, Usage};
use proptest::prelude::*;

const TODAY: &str = "2026-11-26";

fn rates(provider: &str, model: &str) -> Rates {
    let book = shipped::book(TODAY);
    let tariff = book.get(provider).expect("a provider");
    tariff.get(model).expect("a model").rates.clone()
}

#[test]
fn every_line_that_is_shipped_is_read() {
    let table = include_str!("shipped.txt");
    assert_eq!(shipped::read(table, TODAY, &mut Book::default()), Ok(()));
    let book = shipped::book(TODAY);
    for (provider, tariff) in book.providers() {
        assert!(!tariff.is_empty(), "{provider}");
    }
    assert_eq!(shipped::read("x in 1", TODAY, &mut Book::default()), Err(1));
    for bad in ["x in", "x in one 2", "in 1", "x up 1"] {
        let table = format!("provider p\n{bad}\n");
        let mut book = Book::default();
        let read = shipped::read(&table, TODAY, &mut book);
        assert!(
            read == Err(2)
                || book
                    .of("p")
                    .get("x")
                    .is_some_and(|s| s.rates.tokens.input.is_none()),
            "{bad}"
        );
    }
}

#[test]
fn a_price_begins_on_its_day() {
    let then = |day: &str| {
        let book = shipped::book(day);
        let sheet = book
            .get("gemini")
            .and_then(|t| t.get("gemini-3.8-flash").cloned());
        sheet.and_then(|sheet| sheet.rates.tokens.input)
    };
    assert_eq!(then("2026-12-31"), Some(750_000_000));
    assert_eq!(then("2027-01-01"), Some(1_500_000_000));
    assert_eq!(shipped::day(0), "1970-01-01");
    assert_eq!(shipped::day(1_795_651_200), "2026-11-26");
    assert_eq!(shipped::day(951_782_400), "2000-02-29");
}

#[test]
fn a_dated_name_costs_what_its_model_costs_and_another_model_does_not() {
    let mut tariff = Tariff::default();
    let priced = |input| Sheet {
        rates: Rates {
            tokens: TokenRates {
                input: Some(input),
                ..TokenRates::default()
            },
            ..Rates::default()
        },
        ..Sheet::default()
    };
    tariff.set("x", priced(1));
    tariff.set("x-2024-05-13", priced(2));
    tariff.set("ft:x:*", priced(3));
    tariff.set("ft:*", priced(4));
    let input = |model: &str| tariff.get(model).and_then(|sheet| sheet.rates.tokens.input);
    for name in [
        "x",
        "x-2025-08-07",
        "x-20250929",
        "x@20250929",
        "x-001",
        "x-latest",
        "models/x",
        "models/x-002",
    ] {
        assert_eq!(input(name), Some(1), "{name}");
    }
    assert_eq!(input("x-2024-05-13"), Some(2));
    assert_eq!(input("ft:x:mine"), Some(3));
    assert_eq!(input("ft:y:mine"), Some(4));
    for name in [
        "x-mini",
        "xx",
        "x-2025",
        "x-2025-08",
        "-20250929",
        "x-123",
        "x-2025-08-07-mini",
        "",
    ] {
        assert_eq!(input(name), None, "{name}");
    }
}

#[test]
fn decimals_are_read_and_written_without_floats() {
    for (text, places, value) in [
        ("2.5", 9, Some(2_500_000_000)),
        ("2.5e-06", 15, Some(2_500_000_000)),
        ("3e-8", 15, Some(30_000_000)),
        ("0.0375", 9, Some(37_500_000)),
        ("1000000", 0, Some(1_000_000)),
        ("1e400", 9, None),
        ("0e400", 9, Some(0)),
        ("0", 15, Some(0)),
        ("-1", 9, None),
        ("NaN", 9, None),
        ("", 9, None),
        ("1.9", 0, Some(1)),
        ("99999999999", 15, None),
    ] {
        assert_eq!(scaled(text, places), value, "{text}");
    }
    assert_eq!(dollars(0), "0");
    assert_eq!(dollars(1_500_000_000), "1.5");
    assert_eq!(dollars(42), "0.000000042");
    assert_eq!(dollars_per_token(2_500_000_000), "0.0000025");
    assert_eq!(dollars_per_token(37_500_000), "0.0000000375");
}

#[test]
fn h11_what_is_billed_by_the_piece_is_not_billed_by_tokens_too() {
    let said = Usage {
        input: 10,
        units: Units {
            characters: 2000,
            audio_ms: 90_000,
            ..Units::default()
        },
        ..Usage::default()
    };
    // 15 dollars a million characters.
    assert_eq!(
        rates("openai", "tts-1").cost(&said, false),
        Some(30_000_000)
    );
    let heard = Usage {
        output: 10,
        units: Units {
            audio_ms: 90_000,
            ..Units::default()
        },
        ..Usage::default()
    };
    // 36 cents an hour.
    let whisper = rates("openai", "whisper-1");
    assert_eq!(whisper.cost(&heard, false), Some(9_000_000));
    // Nobody counted what is billed: what is known beside it is no bill.
    let unheard = Usage {
        units: Units::default(),
        ..heard
    };
    assert_eq!(whisper.cost(&unheard, false), None);
}

#[test]
fn h11_what_has_no_rate_makes_the_cost_unknown() {
    let rates = rates("openai", "gpt-4o");
    let audio = Usage {
        input: 10,
        input_audio: 1,
        ..Usage::default()
    };
    assert_eq!(rates.cost(&audio, false), None);
    let tools = Usage {
        output: 1,
        server_tool_calls: 1,
        ..Usage::default()
    };
    assert_eq!(rates.cost(&tools, false), None);
    let spoken = Usage {
        units: Units {
            characters: 1,
            ..Units::default()
        },
        ..Usage::default()
    };
    assert_eq!(rates.cost(&spoken, false), None);
    assert_eq!(rates.cost(&Usage::default(), false), Some(0));
    let unbatched = Rates {
        batch_permille: None,
        ..rates
    };
    assert_eq!(unbatched.cost(&Usage::default(), true), None);
}

#[test]
fn h11_a_class_of_service_costs_what_its_table_says_or_nobody_knows() {
    let used = |tier: &str, input| {
        let mut usage = Usage {
            input,
            input_cache_read: 10,
            output: 100,
            ..Usage::default()
        };
        usage.set_tier(tier);
        usage
    };
    let rates = rates("openai", "gpt-4.1");
    // 1000×2 + 10×0.5 + 100×8; 1000×3.5 + 10×0.875 + 100×14
    for usual in ["", "auto", "default", "standard", "Standard", "on_demand"] {
        assert_eq!(
            rates.cost(&used(usual, 1000), false),
            Some(2_805_000),
            "{usual}"
        );
    }
    assert_eq!(rates.cost(&used("priority", 1000), false), Some(4_908_750));
    assert_eq!(rates.cost(&used("flex", 1000), false), Some(1_402_500));
    assert_eq!(rates.cost(&used("scale", 1000), false), None);
    assert_eq!(
        rates.cost(&used("priority", 1000), true),
        None,
        "a batch has none"
    );
    let rates = self::rates("openai", "gpt-5.4");
    assert!(rates.cost(&used("priority", 1000), false).is_some());
    assert_eq!(
        rates.cost(&used("priority", 300_000), false),
        None,
        "a long prompt"
    );
    // Half of 300000×5 + 10×0.5 + 100×22.5
    assert_eq!(rates.cost(&used("flex", 300_000), false), Some(751_127_500));
    let table = r#"{"m": {"litellm_provider": "p", "input_cost_per_token": 1e-06, "input_cost_per_token_flex": 5e-07, "output_cost_per_token_flex": 2e-06,
        "cache_read_input_token_cost_flex": 5e-08}}"#;
    let mut book = Book::default();
    assert_eq!(file::read(table, &mut book).ok(), Some(1));
    let rates = book.of("p").get("m").expect("it is there").rates.clone();
    assert_eq!(rates.cost(&used("flex", 1000), false), Some(700_500));
}

#[test]
fn a_table_in_the_common_form_is_read() {
    let text = r#"{
        "sample_spec": {"litellm_provider": "one of …", "max_tokens": "LEGACY", "input_cost_per_token": 0.0},
        "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
            "cache_read_input_token_cost": 1.25e-06, "input_cost_per_token_batches": 1.25e-06, "max_input_tokens": 128000, "max_output_tokens": 16384, "mode": "chat"},
        "groq/qwen/qwen3-32b": {"litellm_provider": "groq", "input_cost_per_token": 2.9e-07, "output_cost_per_token": 5.9e-07},
        "vertex_ai/claude-sonnet-4-5@20250929": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
            "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
            "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05},
        "whisper-1": {"litellm_provider": "openai", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001},
        "free": {"litellm_provider": "openai"},
        "odd": 7
    }"#;
    let mut book = Book::default();
    assert_eq!(file::read(text, &mut book).ok(), Some(5));
    let get = |provider: &str, model: &str| book.get(provider).and_then(|t| t.get(model)).cloned();
    let sheet = get("openai", "gpt-4o-2024-08-06").expect("it is there");
    assert_eq!(sheet.rates.tokens.input, Some(2_500_000_000));
    assert_eq!(sheet.rates.batch_permille, Some(500));
    assert_eq!(
        (sheet.context, sheet.max_output),
        (Some(128_000), Some(16_384))
    );
    assert!(get("groq", "qwen/qwen3-32b").is_some());
    assert!(get("openai", "free").is_none());
    let sheet = get("vertex", "claude-sonnet-4-5@20250929").expect("it is there");
    assert_eq!(sheet.rates.tokens.cache_write_1h, Some(6_000_000_000));
    assert_eq!(sheet.rates.tokens_for(200_000).input, Some(3_000_000_000));
    assert_eq!(sheet.rates.tokens_for(200_001).input, Some(6_000_000_000));
    let sheet = get("openai", "whisper-1").expect("it is there");
    assert_eq!(sheet.rates.units.audio_hour, Some(360_000_000));
    assert!(file::read("[]", &mut book).is_err());
}

fn any_rate() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![3 => (0..1_000_000_000_000u64).prop_map(Some), 1 => Just(Some(u64::MAX))]
}

prop_compose! {
    fn any_tokens()(rates in prop::array::uniform10(any_rate())) -> TokenRates {
        let [input, output, cache_read, cache_write, cache_write_1h, reasoning, input_audio, input_image, output_audio, output_image] = rates;
        TokenRates { input, output, cache_read, cache_write, cache_write_1h, reasoning, input_audio, input_image, output_audio, output_image }
    }
}

prop_compose! {
    fn any_usage()(counts in prop::array::uniform16(prop_oneof![8 => 0..2_000_000u64, 1 => Just(0), 1 => Just(u64::MAX)])) -> Usage {
        let [input, input_cache_read, input_cache_write, input_cache_write_1h, input_audio, input_image, output, output_reasoning,
            output_audio, output_image, server_tool_calls, audio_ms, characters, images, searches, _] = counts;
        Usage { input, input_cache_read, input_cache_write, input_cache_write_1h, input_audio, input_image, output, output_reasoning,
            output_audio, output_image, server_tool_calls, units: Units { audio_ms, characters, images, searches }, ..Usage::default() }
    }
}

/// The classes of tokens of a usage, one at a time.
fn alone(usage: &Usage) -> Vec<Usage> {
    let none = Usage::default;
    vec![
        Usage {
            input: usage.input,
            ..none()
        },
        Usage {
            input_cache_read: usage.input_cache_read,
            ..none()
        },
        Usage {
            input_cache_write: usage.input_cache_write,
            ..none()
        },
        Usage {
            input_cache_write_1h: usage.input_cache_write_1h,
            ..none()
        },
        Usage {
            input_audio: usage.input_audio,
            ..none()
        },
        Usage {
            input_image: usage.input_image,
            ..none()
        },
        Usage {
            output: usage.output,
            ..none()
        },
        Usage {
            output_reasoning: usage.output_reasoning,
            ..none()
        },
        Usage {
            output_audio: usage.output_audio,
            ..none()
        },
        Usage {
            output_image: usage.output_image,
            ..none()
        },
    ]
}

proptest! {
    #[test]
    fn nothing_overflows_and_more_never_costs_less(tokens in any_tokens(), long in any_tokens(), usage in any_usage(), more in 0..1_000_000u64) {
        let units = UnitRates { audio_hour: Some(u64::MAX), characters: Some(7), image: Some(u64::MAX), search: Some(1), server_tool_call: Some(u64::MAX), request: Some(3) };
        // A longer prompt is never cheaper a token.
        let above = |a: Option<u64>, b: Option<u64>| a.max(b);
        let dearer = TokenRates {
            input: above(tokens.input, long.input), output: above(tokens.output, long.output),
            cache_read: above(tokens.cache_read, long.cache_read), cache_write: above(tokens.cache_write, long.cache_write),
            cache_write_1h: above(tokens.cache_write_1h, long.cache_write_1h), reasoning: above(tokens.reasoning, long.reasoning),
            input_audio: above(tokens.input_audio, long.input_audio), input_image: above(tokens.input_image, long.input_image),
            output_audio: above(tokens.output_audio, long.output_audio), output_image: above(tokens.output_image, long.output_image),
        };
        let tiers = vec![Tier { above: 200_000, tokens: dearer }];
        let rates = Rates { tokens, tiers, units, batch_permille: Some(500), services: Vec::new() };
        let cost = rates.cost(&usage, false).expect("everything has a rate");
        prop_assert!(rates.cost(&usage, true).expect("everything has a rate") <= cost);
        let added = Usage { input: usage.input.saturating_add(more), output: usage.output.saturating_add(more), input_cache_read: usage.input_cache_read.saturating_add(more), ..usage };
        prop_assert!(rates.cost(&added, false) >= Some(cost));
    }

    #[test]
    fn the_classes_sum(tokens in any_tokens(), usage in any_usage()) {
        let usage = Usage { server_tool_calls: 0, units: Units::default(), ..usage };
        let rates = Rates { tokens, ..Rates::default() };
        let whole = rates.cost(&usage, false).expect("everything has a rate");
        let parts: Vec<u64> = alone(&usage).iter().map(|one| rates.cost(one, false).expect("a rate")).collect();
        let sum = parts.iter().fold(0u64, |sum, part| sum.saturating_add(*part));
        // Each part is rounded by itself, by half a nano-dollar at most.
        prop_assert!(whole == u64::MAX || sum.abs_diff(whole) <= 5, "{sum} {whole}");
    }
}
