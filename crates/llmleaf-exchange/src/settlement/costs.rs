//! Reports of real exchanges, as they were recorded (the given set, `ruby_llm`, `rig`, `ellmer`, `req_llm`, `ai`, `openllmetry`), and what each comes to: computed by
//! hand from the price list, dollars per million tokens, in the comment beside it.

use super::cost;
use crate::ledger::Cost::{self, Computed, Reported, Unknown};
use llmleaf_dialects::{ChatWire, Dialect};
use llmleaf_model::{Event, Usage};
use llmleaf_prices::shipped;
use llmleaf_providers::{Chat, find};

/// A report in the smallest answer of its wire.
fn answer(dialect: Dialect, usage: &str) -> String {
    let (head, tail) = match dialect {
        Dialect::Messages => (
            r#"{"id":"x","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":"#,
            "}",
        ),
        Dialect::Responses => (
            r#"{"id":"x","object":"response","status":"completed","model":"m","output":[{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":"#,
            "}",
        ),
        Dialect::GenerateContent => (
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP","index":0}],"usageMetadata":"#,
            "}",
        ),
        Dialect::CohereChat => (
            r#"{"id":"x","finish_reason":"COMPLETE","message":{"role":"assistant","content":[{"type":"text","text":"hi"}]},"usage":"#,
            "}",
        ),
        _ => (
            r#"{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":"#,
            "}",
        ),
    };
    [head, usage, tail].concat()
}

fn read(provider: &str, dialect: Dialect, usage: &str) -> Usage {
    let row = find(provider).expect("a provider");
    let wires = row.speaks.chat.iter().filter_map(|chat| match chat {
        Chat::Wire(wire, _) => Some(wire),
        Chat::Echo => None,
    });
    let mut wires = wires.filter(|wire: &&ChatWire| wire.dialect() == dialect);
    let wire = wires.next().expect("it speaks that");
    let events = wire.parse_response(answer(dialect, usage).as_bytes());
    let reports = events.into_iter().filter_map(|event| match event {
        Event::UsageReport(usage) => Some(usage),
        _ => None,
    });
    reports
        .last()
        .unwrap_or_else(|| panic!("no report: {usage}"))
}

const CHAT: Dialect = Dialect::ChatCompletions;

/// Provider, model, wire, whether it was in a batch, the report, and what it comes to.
type Row = (
    &'static str,
    &'static str,
    Dialect,
    bool,
    &'static str,
    Cost,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // 19×3 + 407×3.75 + 1931×6 + 61×15
    ("anthropic", "claude-sonnet-4-6", Dialect::Messages, false, r#"{"cache_creation":{"ephemeral_1h_input_tokens":1931,"ephemeral_5m_input_tokens":407},"cache_creation_input_tokens":2338,"cache_read_input_tokens":0,"input_tokens":19,"output_tokens":61}"#, Computed(14_084_250)),
    // The same without its search would be 4×2 + 11107×2.5 + 2836×0.2 + 155×10; the search has no price here.
    ("anthropic", "claude-sonnet-5", Dialect::Messages, false, r#"{"input_tokens":4,"cache_creation_input_tokens":11107,"cache_read_input_tokens":2836,"cache_creation":{"ephemeral_5m_input_tokens":11107,"ephemeral_1h_input_tokens":0},"output_tokens":155,"output_tokens_details":{"thinking_tokens":26},"server_tool_use":{"web_search_requests":1,"web_fetch_requests":0}}"#, Unknown),
    ("anthropic", "claude-sonnet-5", Dialect::Messages, false, r#"{"input_tokens":4,"cache_creation_input_tokens":11107,"cache_read_input_tokens":2836,"cache_creation":{"ephemeral_5m_input_tokens":11107,"ephemeral_1h_input_tokens":0},"output_tokens":155}"#, Computed(29_892_700)),
    // 4658×1 + 120×5
    ("anthropic", "claude-haiku-4-5-20251001", Dialect::Messages, false, r#"{"input_tokens":4658,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":120,"server_tool_use":{"web_search_requests":0,"web_fetch_requests":0}}"#, Computed(5_258_000)),
    // 725×5 + 113×25
    ("anthropic", "claude-opus-4-5-20251101", Dialect::Messages, false, r#"{"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"input_tokens":725,"output_tokens":113}"#, Computed(6_450_000)),
    // 542×15 + 136×75
    ("anthropic", "claude-opus-4-1-20250805", Dialect::Messages, false, r#"{"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"input_tokens":542,"output_tokens":136}"#, Computed(18_330_000)),
    // 45×3 + 3000×15
    ("anthropic", "claude-sonnet-4-5-20250929", Dialect::Messages, false, r#"{"input_tokens":45,"output_tokens":3000}"#, Computed(45_135_000)),
    // half of 20×1 + 5×5
    ("anthropic", "claude-haiku-4-5", Dialect::Messages, true, r#"{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":5,"service_tier":"batch"}"#, Computed(22_500)),
    // 50×0.05 + 1536×0.005 + 393×0.4
    ("openai", "gpt-5-nano-2025-08-07", Dialect::Responses, false, r#"{"input_tokens":1586,"input_tokens_details":{"cache_write_tokens":0,"cached_tokens":1536},"output_tokens":393,"output_tokens_details":{"reasoning_tokens":320},"total_tokens":1979}"#, Computed(167_380)),
    // half of 36×0.05 + 224×0.4
    ("openai", "gpt-5-nano-2025-08-07", Dialect::Responses, true, r#"{"input_tokens":36,"output_tokens":224,"total_tokens":260,"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":128}}"#, Computed(45_700)),
    // 8614×1.75 + 95×14
    ("openai", "gpt-5.2-2025-12-11", Dialect::Responses, false, r#"{"input_tokens":8614,"input_tokens_details":{"cache_write_tokens":0,"cached_tokens":0},"output_tokens":95,"output_tokens_details":{"reasoning_tokens":48},"total_tokens":8709}"#, Computed(16_404_500)),
    // 31×2.5 + 16×15
    ("openai", "gpt-5.4-2026-03-05", Dialect::Responses, false, r#"{"input_tokens":31,"input_tokens_details":{"cache_write_tokens":0,"cached_tokens":0},"output_tokens":16,"output_tokens_details":{"reasoning_tokens":9},"total_tokens":47}"#, Computed(317_500)),
    // 1374×0.25 + 2304×0.025 + 536×2
    ("openai", "gpt-5-mini-2025-08-07", Dialect::Responses, false, r#"{"input_tokens":3678,"input_tokens_details":{"cached_tokens":2304},"output_tokens":536,"output_tokens_details":{"reasoning_tokens":448},"total_tokens":4214}"#, Computed(1_473_100)),
    // 32×2.5 + 11×10
    ("openai", "gpt-4o-2024-08-06", Dialect::Responses, false, r#"{"input_tokens":32,"input_tokens_details":{"cached_tokens":0},"output_tokens":11,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":43}"#, Computed(190_000)),
    // 69×15 + 212×60
    ("openai", "o1-2024-12-17", CHAT, false, r#"{"completion_tokens":212,"completion_tokens_details":{"audio_tokens":0,"reasoning_tokens":192},"prompt_tokens":69,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0},"total_tokens":281}"#, Computed(13_755_000)),
    // 150×0.25 + 155×2
    ("openai", "gpt-5-mini-2025-08-07", CHAT, false, r#"{"completion_tokens":155,"completion_tokens_details":{"audio_tokens":0,"reasoning_tokens":128},"prompt_tokens":150,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0},"total_tokens":305}"#, Computed(347_500)),
    // 16×0.15 + 43×10 + 123×0.6
    ("openai", "gpt-4o-mini-audio-preview", CHAT, false, r#"{"prompt_tokens":59,"completion_tokens":123,"total_tokens":182,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":43,"text_tokens":16,"image_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#, Computed(506_200)),
    // Nobody gave this one a price.
    ("openai", "davinci-002", CHAT, false, r#"{"prompt_tokens":1116,"completion_tokens":400,"total_tokens":1516}"#, Unknown),
    // 14×0.5 + 138×1 + (17 + 796)×3
    ("gemini", "gemini-3-flash-preview", Dialect::GenerateContent, false, r#"{"candidatesTokenCount":17,"promptTokenCount":152,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":138},{"modality":"TEXT","tokenCount":14}],"thoughtsTokenCount":796,"totalTokenCount":965}"#, Computed(2_584_000)),
    // 351×1.5 + 217×0.15 + (305 + 1027)×9
    ("gemini", "gemini-3.5-flash", Dialect::GenerateContent, false, r#"{"promptTokenCount":568,"candidatesTokenCount":305,"totalTokenCount":1900,"cachedContentTokenCount":217,"promptTokensDetails":[{"modality":"TEXT","tokenCount":568}],"cacheTokensDetails":[{"modality":"TEXT","tokenCount":217}],"thoughtsTokenCount":1027}"#, Computed(12_547_050)),
    // 13×0.3 + 9609×0.03 + (35 + 136)×2.5
    ("gemini", "gemini-2.5-flash", Dialect::GenerateContent, false, r#"{"promptTokenCount":9622,"candidatesTokenCount":35,"totalTokenCount":9793,"cachedContentTokenCount":9609,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9622}],"cacheTokensDetails":[{"modality":"TEXT","tokenCount":9609}],"thoughtsTokenCount":136}"#, Computed(719_670)),
    // 21×0.25 + (4 + 120)×1.5
    ("gemini", "gemini-3.1-flash-lite", Dialect::GenerateContent, false, r#"{"candidatesTokenCount":4,"promptTokenCount":21,"promptTokensDetails":[{"modality":"TEXT","tokenCount":21}],"thoughtsTokenCount":120,"totalTokenCount":145}"#, Computed(191_250)),
    // half of 13×0.3 + (1 + 43)×2.5
    ("gemini", "gemini-2.5-flash", Dialect::GenerateContent, true, r#"{"promptTokenCount":13,"candidatesTokenCount":1,"totalTokenCount":57,"promptTokensDetails":[{"modality":"TEXT","tokenCount":13}],"thoughtsTokenCount":43}"#, Computed(56_950)),
    // 128×1.25 + (26 + 692)×10
    ("gemini", "gemini-2.5-pro", Dialect::GenerateContent, false, r#"{"promptTokenCount":128,"candidatesTokenCount":26,"totalTokenCount":846,"thoughtsTokenCount":692}"#, Computed(7_340_000)),
    // 1440×0.5 + (75 + 86)×3: images cost what text does
    ("gemini", "gemini-3-flash-preview", Dialect::GenerateContent, false, r#"{"promptTokenCount":1440,"candidatesTokenCount":75,"totalTokenCount":1601,"promptTokensDetails":[{"modality":"TEXT","tokenCount":351},{"modality":"IMAGE","tokenCount":1089}],"candidatesTokensDetails":[{"modality":"TEXT","tokenCount":75}],"thoughtsTokenCount":86}"#, Computed(1_203_000)),
    // What is billed, not what was read: 10×2.5 + 1×10
    ("cohere", "command-a-03-2025", Dialect::CohereChat, false, r#"{"billed_units":{"input_tokens":10,"output_tokens":1},"cached_tokens":448,"tokens":{"input_tokens":505,"output_tokens":9}}"#, Computed(35_000)),
    // 377×0.15 + 90×0.6
    ("cohere", "command-r-08-2024", Dialect::CohereChat, false, r#"{"billed_units":{"input_tokens":377,"output_tokens":90},"tokens":{"input_tokens":577,"output_tokens":90},"cached_tokens":576}"#, Computed(110_550)),
    // 260×0.075 + 100×0.3
    ("groq", "openai/gpt-oss-20b", CHAT, false, r#"{"completion_time":0.115112549,"completion_tokens":100,"completion_tokens_details":{"reasoning_tokens":70},"prompt_tokens":260,"total_tokens":360}"#, Computed(49_500)),
    // 359×0.59 + 35×0.79
    ("groq", "llama-3.3-70b-versatile", CHAT, false, r#"{"completion_tokens":35,"prompt_tokens":359,"total_tokens":394}"#, Computed(239_460)),
    // 10×0.95 + 10×0.16 + 30×4
    ("moonshot", "kimi-k2.6", CHAT, false, r#"{"prompt_tokens":20,"completion_tokens":30,"total_tokens":50,"cached_tokens":10,"completion_tokens_details":{"reasoning_tokens":22}}"#, Computed(131_100)),
    // The provider's own word, which is also 230×1.25 + 128×0.2 + 389×2.5
    ("xai", "grok-4.3", Dialect::Responses, false, r#"{"cost_in_usd_ticks":12856000,"input_tokens":358,"input_tokens_details":{"cached_tokens":128},"num_server_side_tools_used":0,"output_tokens":389,"output_tokens_details":{"reasoning_tokens":378},"total_tokens":747}"#, Reported(1_285_600)),
    // Its tools have no price here, and need none.
    ("xai", "grok-4.5", Dialect::Responses, false, r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":20},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":150,"num_server_side_tools_used":1,"cost_in_usd_ticks":123456}"#, Reported(12_345)),
    ("openrouter", "openai/gpt-5.2", CHAT, false, r#"{"prompt_tokens":16924,"completion_tokens":485,"total_tokens":17409,"cost":0.066407,"is_byok":false}"#, Reported(66_407_000)),
    // The fee of the request is in it.
    ("perplexity", "sonar", CHAT, false, r#"{"completion_tokens":16,"cost":{"input_tokens_cost":2e-05,"output_tokens_cost":2e-05,"request_cost":0.005,"total_cost":0.00504},"prompt_tokens":24,"total_tokens":40}"#, Reported(5_040_000)),
];

/// Reports in classes of service other than the usual one; a class may stand beside the report.
#[rustfmt::skip]
const TIERS: &[Row] = &[
    // 1000×3.5 + 10×0.875 + 100×14
    ("openai", "gpt-4.1", CHAT, false, r#"{"prompt_tokens":1010,"completion_tokens":100,"total_tokens":1110,"prompt_tokens_details":{"cached_tokens":10}},"service_tier":"priority""#, Computed(4_908_750)),
    // 1000×2 + 10×0.5 + 100×8, and half of that
    ("openai", "gpt-4.1", CHAT, false, r#"{"prompt_tokens":1010,"completion_tokens":100,"total_tokens":1110,"prompt_tokens_details":{"cached_tokens":10}},"service_tier":"default""#, Computed(2_805_000)),
    ("openai", "gpt-4.1", Dialect::Responses, false, r#"{"input_tokens":1010,"output_tokens":100,"input_tokens_details":{"cached_tokens":10}},"service_tier":"flex""#, Computed(1_402_500)),
    ("openai", "gpt-4.1", Dialect::Responses, false, r#"{"input_tokens":1010,"output_tokens":100},"service_tier":"scale""#, Unknown),
    ("openai", "gpt-4.1", Dialect::Responses, true, r#"{"input_tokens":1010,"output_tokens":100},"service_tier":"priority""#, Unknown),
    ("groq", "openai/gpt-oss-20b", CHAT, false, r#"{"prompt_tokens":260,"completion_tokens":100,"total_tokens":360},"service_tier":"on_demand""#, Computed(49_500)),
    ("groq", "openai/gpt-oss-20b", CHAT, false, r#"{"prompt_tokens":260,"completion_tokens":100,"total_tokens":360},"service_tier":"performance""#, Unknown),
    ("anthropic", "claude-opus-5", Dialect::Messages, false, r#"{"input_tokens":20,"output_tokens":5,"service_tier":"standard","speed":"standard"}"#, Computed(225_000)),
    ("anthropic", "claude-opus-5", Dialect::Messages, false, r#"{"input_tokens":20,"output_tokens":5,"service_tier":"standard","speed":"fast"}"#, Unknown),
    ("anthropic", "claude-opus-5", Dialect::Messages, false, r#"{"input_tokens":20,"output_tokens":5,"service_tier":"priority"}"#, Unknown),
    ("gemini", "gemini-2.5-flash", Dialect::GenerateContent, false, r#"{"promptTokenCount":10,"candidatesTokenCount":10,"totalTokenCount":20,"serviceTier":"standard"}"#, Computed(28_000)),
    ("gemini", "gemini-2.5-flash", Dialect::GenerateContent, false, r#"{"promptTokenCount":10,"candidatesTokenCount":10,"totalTokenCount":20,"serviceTier":"priority"}"#, Unknown),
    ("gemini", "gemini-2.5-flash", Dialect::GenerateContent, false, r#"{"promptTokenCount":10,"candidatesTokenCount":10,"totalTokenCount":20,"trafficType":"ON_DEMAND"}"#, Computed(28_000)),
    ("gemini", "gemini-2.5-flash", Dialect::GenerateContent, false, r#"{"promptTokenCount":10,"candidatesTokenCount":10,"totalTokenCount":20,"trafficType":"ON_DEMAND_FLEX"}"#, Unknown),
];

#[test]
fn h11_a_class_of_service_is_read_with_its_report() {
    let book = shipped::book("2026-11-26");
    for (provider, model, dialect, batch, report, expected) in TIERS {
        let usage = read(provider, *dialect, report);
        let sheet = book.get(provider).and_then(|tariff| tariff.get(model));
        let found = cost(&usage, sheet.map(AsRef::as_ref), *batch);
        assert_eq!(found, *expected, "{provider} {model} {usage:?}");
        // Whoever reads an answer in outline reads the same.
        if *dialect == CHAT {
            let wires = find(provider).expect("a provider").speaks.chat.iter();
            let outlines = wires.filter_map(|chat| match chat {
                Chat::Wire(wire, _) => wire.outline(answer(CHAT, report).as_bytes()),
                Chat::Echo => None,
            });
            assert_eq!(
                outlines.map(|o| o.tier).next(),
                Some(usage.tier),
                "{report}"
            );
        }
    }
}

#[test]
fn h11_recorded_reports_come_to_what_a_hand_comes_to() {
    assert!(ROWS.len() >= 30);
    let book = shipped::book("2026-11-26");
    for (provider, model, dialect, batch, report, expected) in ROWS {
        let usage = read(provider, *dialect, report);
        let sheet = book.get(provider).and_then(|tariff| tariff.get(model));
        let found = cost(&usage, sheet.map(AsRef::as_ref), *batch);
        assert_eq!(found, *expected, "{provider} {model} {usage:?}");
    }
}
