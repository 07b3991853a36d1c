//! What recorded exchanges cost, by hand: usage as the service reported it, times the price on its own page, through the program.
//!
//! A row says what was used and what each million of that costs, in millionths of a dollar: so a product is in picodollars, and a thousandth of
//! their sum is what the record must say, in nano-dollars. Prices are those of the pages named at each provider, read on 2026-11-26; they are
//! written down here once more, so that the table of the program is held too. What a service states itself counts, whatever its price.

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http;
use llmleaf_testkit::json;
use llmleaf_testkit::recordings::{self, Recording};
use llmleaf_testkit::replay::{Replay, Script};
use llmleaf_testkit::stage::LONG;
use llmleaf_testkit::stand::{self, Ask, Exchange, Service, Stand};

use super::reading::Spoken;
use super::{EXE, LOG};

/// What a recording must cost.
struct Row {
    id: &'static str,
    bill: Bill,
}

enum Bill {
    /// Each count, and the price of a million in millionths of a dollar.
    Of(&'static [(u64, u64)]),
    /// The service says so itself, in nano-dollars.
    Stated(u64),
    /// Part of it has no price here: that is unknown, and not less.
    Unknown,
}
use Bill::{Of, Stated, Unknown};

const fn row(id: &'static str, bill: Bill) -> Row {
    Row { id, bill }
}

const ROWS: &[Row] = &[
    // https://platform.claude.com/docs/en/about-claude/pricing. Haiku 4.5: 1 and 5 dollars.
    row(
        "rig-anthropic-anthropic-messages-396bf5a44d",
        Of(&[(24, 1_000_000), (1, 5_000_000)]),
    ),
    // Sonnet 4.6: 3, written to the cache for five minutes 3.75 and for an hour 6, 15.
    row(
        "rig-anthropic-anthropic-messages-96dcd6aa6c",
        Of(&[
            (19, 3_000_000),
            (407, 3_750_000),
            (1931, 6_000_000),
            (61, 15_000_000),
        ]),
    ),
    // Sonnet 5: 2, written 2.5, read 0.2, 10; of the 142 tokens 67 are thought.
    row(
        "ellmer-anthropic-anthropic-messages-141ec339dd",
        Of(&[(2, 2_000_000), (1135, 2_500_000), (142, 10_000_000)]),
    ),
    row(
        "ellmer-anthropic-anthropic-messages-adf6f1d43d",
        Of(&[
            (2, 2_000_000),
            (77, 2_500_000),
            (3522, 200_000),
            (43, 10_000_000),
        ]),
    ),
    // A stream, with thought that is counted apart.
    row(
        "rig-anthropic-anthropic-messages-3e45f36d89",
        Of(&[(61, 3_000_000), (1025, 15_000_000)]),
    ),
    // A dated name of Opus 4.1: 15 and 75.
    row(
        "req_llm-anthropic-anthropic-messages-71a37b5959",
        Of(&[(689, 15_000_000), (173, 75_000_000)]),
    ),
    row(
        "req_llm-anthropic-anthropic-messages-ae2b9744ac",
        Of(&[(44, 3_000_000), (3000, 15_000_000)]),
    ),
    // The latest Haiku 3.5: 0.8 and 4.
    row(
        "req_llm-anthropic-anthropic-messages-971fc6f456",
        Of(&[(463, 800_000), (50, 4_000_000)]),
    ),
    // A stream that tells its input at the start and its output at the end.
    row(
        "openllmetry-anthropic-anthropic-messages-10e34b8cf5",
        Of(&[(52, 3_000_000), (216, 15_000_000)]),
    ),
    // Two searches, which are billed by the piece and have no price here.
    row("rig-anthropic-anthropic-messages-e2cab9f800", Unknown),
    // https://developers.openai.com/api/docs/pricing. GPT-4o mini: 0.15, read 0.075, 0.6; 4480 of 4624 tokens were read.
    row(
        "rig-openai-openai-chat-1070a9dbc3",
        Of(&[(144, 150_000), (4480, 75_000), (4, 600_000)]),
    ),
    // o4-mini: 1.1 and 4.4; reasoning is output.
    row(
        "rig-openai-openai-chat-4f51fa4cdb",
        Of(&[(16, 1_100_000), (16, 4_400_000)]),
    ),
    // The first GPT-4o has a price of its own: 5 and 15. Later ones: 2.5 and 10.
    row(
        "req_llm-openai-openai-chat-003d012b5f",
        Of(&[(57, 5_000_000), (3, 15_000_000)]),
    ),
    row(
        "req_llm-openai-openai-chat-10a203f9c1",
        Of(&[(79, 2_500_000), (15, 10_000_000)]),
    ),
    // GPT-4.1 nano: 0.1, read 0.025, 0.4.
    row(
        "ellmer-openai-openai-chat-0b7d535a92",
        Of(&[(77, 100_000), (1024, 25_000), (7, 400_000)]),
    ),
    // GPT-5 nano: 0.05, read 0.005, 0.4; of the 228 tokens 192 are reasoning.
    row(
        "openllmetry-openai-openai-chat-a922167741",
        Of(&[(11, 50_000), (228, 400_000)]),
    ),
    row(
        "ruby_llm-openai-openai-responses-15454daf4a",
        Of(&[(50, 50_000), (1536, 5_000), (393, 400_000)]),
    ),
    // GPT-5.2: 1.75, read 0.175, 14.
    row(
        "ruby_llm-openai-openai-responses-5e8362ffa8",
        Of(&[(213, 1_750_000), (4352, 175_000), (5, 14_000_000)]),
    ),
    // GPT-5 pro: 15 and 120. o1: 15 and 60. GPT-5.4: 2.5 and 15.
    row(
        "req_llm-openai-openai-responses-22a8c1e3f2",
        Of(&[(55, 15_000_000), (208, 120_000_000)]),
    ),
    row(
        "req_llm-openai-openai-responses-1da53fea19",
        Of(&[(38, 15_000_000), (202, 60_000_000)]),
    ),
    row(
        "ruby_llm-openai-openai-responses-3f8aaea687",
        Of(&[(50, 2_500_000), (667, 15_000_000)]),
    ),
    // Embeddings: text-embedding-3-large 0.13, text-embedding-3-small 0.02, text-embedding-ada-002 0.1.
    row(
        "openllmetry-openai-embeddings-openai-5694102de7",
        Of(&[(8, 130_000)]),
    ),
    row(
        "opentelemetry-python-contrib-openai-embeddings-openai-0c1899d715",
        Of(&[(6, 20_000)]),
    ),
    row(
        "openllmetry-openai-embeddings-openai-a412506519",
        Of(&[(18, 100_000)]),
    ),
    // https://ai.google.dev/gemini-api/docs/pricing. Gemini 2.5 Flash: 0.3, read 0.03, 2.5; thought (59 tokens) stands beside the answer (21).
    row(
        "rig-gemini-gemini-generate-1841c02ace",
        Of(&[(86, 300_000), (21 + 59, 2_500_000)]),
    ),
    // Gemini 3 Flash: 0.5, sound 1, 3; 138 of the 152 tokens were heard.
    row(
        "rig-gemini-gemini-generate-5dd405b368",
        Of(&[(14, 500_000), (138, 1_000_000), (17 + 796, 3_000_000)]),
    ),
    // 1081 of 1087 tokens read from a cache.
    row(
        "rig-gemini-gemini-generate-2f2114fdcc",
        Of(&[(6, 300_000), (1081, 30_000), (2, 2_500_000)]),
    ),
    // What a tool of the service's gave is input: 898 tokens beside the 91.
    row(
        "rig-gemini-gemini-generate-6f477668e5",
        Of(&[(91 + 898, 300_000), (159 + 265, 2_500_000)]),
    ),
    row(
        "ruby_llm-gemini-gemini-generate-8b8e31c9cf",
        Of(&[(13, 300_000), (9609, 30_000), (35 + 136, 2_500_000)]),
    ),
    // Gemini 3.1 Pro up to 200,000 tokens: 2 and 12. 2.5 Pro: 1.25 and 10.
    row(
        "ruby_llm-gemini-gemini-generate-a035ebf878",
        Of(&[(339, 2_000_000), (23 + 51, 12_000_000)]),
    ),
    row(
        "req_llm-gemini-gemini-generate-1ccd178bf1",
        Of(&[(48, 1_250_000), (3 + 213, 10_000_000)]),
    ),
    // https://groq.com/pricing. Llama 3.3 70B: 0.59 and 0.79. gpt-oss-20b: 0.075, read 0.0375, 0.3. gpt-oss-120b: 0.15 and 0.6.
    row(
        "rig-groq-openai-chat-033bef4a0e",
        Of(&[(359, 590_000), (35, 790_000)]),
    ),
    row(
        "rig-groq-openai-chat-2dd490a27f",
        Of(&[(3, 75_000), (1792, 37_500), (16, 300_000)]),
    ),
    row(
        "req_llm-groq-openai-chat-1f7f0bbff9",
        Of(&[(91, 150_000), (63, 600_000)]),
    ),
    // https://cohere.com/pricing. What is billed is stated in tokens, and is less than what the model read. Command A: 2.5 and 10; R: 0.15 and 0.6.
    row(
        "rig-cohere-cohere-v2-366e11193c",
        Of(&[(10, 2_500_000), (1, 10_000_000)]),
    ),
    row(
        "openllmetry-cohere-cohere-v2-e498f8e56f",
        Of(&[(377, 150_000), (90, 600_000)]),
    ),
    row(
        "rig-cohere-cohere-v2-5ee64cfc59",
        Of(&[(27, 2_500_000), (411, 10_000_000)]),
    ),
    // https://docs.x.ai: 12,856,000 and 57,462,500 ticks, of which a dollar has 10^10.
    row("rig-xai-openai-responses-16044fa4d0", Stated(1_285_600)),
    row("req_llm-xai-openai-responses-54ce3cf244", Stated(5_746_250)),
    // https://openrouter.ai/docs: 0.066407 and 3.6e-6 dollars.
    row(
        "ruby_llm-openrouter-openai-chat-9d422db25e",
        Stated(66_407_000),
    ),
    row("rig-openrouter-openai-chat-139bfa5de8", Stated(3_600)),
    // https://docs.perplexity.ai: `total_cost` 0.00504, of which 0.005 is for the request.
    row("rig-perplexity-openai-chat-6a7132258a", Stated(5_040_000)),
    // The table has no price of the latest Mistral Large, and does not take one of another.
    row("rig-mistral-openai-chat-c0be9c26cc", Unknown),
];

#[test]
fn h11_recorded_exchanges_cost_what_they_come_to_by_hand() {
    let known = |recording: &Recording| ROWS.iter().any(|row| row.id == recording.id);
    let Some(recordings) = recordings::load_where("what is priced by hand", known) else {
        return;
    };
    assert_eq!(recordings.len(), ROWS.len(), "every row is a recording");
    let wrong = std::sync::Mutex::new(Vec::new());
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        let exchange = ask(stand, recording);
        let row = ROWS.iter().find(|row| row.id == recording.id);
        let expected = row.map(|row| expected(&row.bill)).unwrap_or_default();
        let got = cost(stand, &exchange);
        if got != expected {
            let line = format!("{}: {got:?} and not {expected:?}", recording.id);
            wrong.lock().expect("no panic").push(line);
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nano-dollars, and who says so.
type Cost = (Option<u64>, String);

fn expected(bill: &Bill) -> Cost {
    let by = |who: &str| who.to_owned();
    match bill {
        Of(uses) => {
            let pico: u64 = uses.iter().map(|(count, price)| count * price).sum();
            (Some((pico + 500) / 1000), by("prices"))
        }
        Stated(nano) => (Some(*nano), by("provider")),
        Unknown => (None, by("")),
    }
}

fn service(recording: &Recording) -> Service {
    match recording.wire.as_str() {
        "embeddings-openai" => Service {
            kind: recording.provider.clone(),
            base: "/v1".to_owned(),
            settings: String::new(),
        },
        _ => Service::of(recording),
    }
}

fn ask(stand: &mut Stand, recording: &Recording) -> Exchange {
    let headers = recording.request_headers.iter();
    let path = match recording.wire.as_str() {
        "embeddings-openai" => "/v1/embeddings".to_owned(),
        _ => Spoken::of(recording).path(&stand::model(recording), recording.stream),
    };
    let body = stand::request(recording);
    let ask = Ask {
        path: &path,
        headers: headers
            .filter(|(name, _)| name.as_str() != "content-type")
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        body: &body,
    };
    let exchange = stand.exchange(&ask, Script::recorded(recording));
    assert_eq!(exchange.response.status, 200, "{}", recording.id);
    exchange
}

/// What the exchange's record says.
fn cost(stand: &Stand, exchange: &Exchange) -> Cost {
    let id = exchange.response.header("x-request-id").unwrap_or_default();
    let found = stand.record(id);
    let record = json::parse(&found).expect("a record is JSON");
    let nano = record.u64_at(&["cost_nano_usd"]);
    let source = record.text_at(&["cost_source"]).to_owned();
    // What is told to consumers is the same.
    let told = exchange.response.header("x-llmleaf-cost-usd");
    if let (Some(nano), Some(told)) = (nano, told) {
        let dollars = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        let dollars = dollars.trim_end_matches('0').trim_end_matches('.');
        assert_eq!(told, dollars, "{id}");
    }
    (
        nano,
        if nano.is_some() {
            source
        } else {
            String::new()
        },
    )
}

/// A batch of one request to Haiku 4.5, as it was made, looked at and read: 20 tokens at 1 dollar and 5 at 5, and half of that.
#[test]
fn h11_a_recorded_batch_costs_half() {
    const MADE: &str = "ruby_llm-anthropic-batch-bcb20834bd";
    const ENDED: &str = "ruby_llm-anthropic-batch-d6ce0e829c";
    const RESULTS: &str = "ruby_llm-anthropic-batch-7b7b079c60";
    let known = |one: &Recording| [MADE, ENDED, RESULTS].contains(&one.id.as_str());
    let Some(recordings) = recordings::load_where("a batch", known) else {
        return;
    };
    let service = Replay::start();
    service.on(move |request| {
        let id = match (&*request.method, request.path.ends_with("/results")) {
            ("POST", _) => MADE,
            (_, true) => RESULTS,
            _ => ENDED,
        };
        let found = recordings.iter().find(|one| one.id == id);
        Script::recorded(found.expect("it is recorded"))
    });
    // The key's password is `s3cret`.
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nbatch_id_secret = \"a secret of all nodes\"\n\n[[providers]]\nname = \"service\"\n\
         kind = \"anthropic\"\nendpoint = \"{}\"\ncredential = \"canary-of-batches-Ye70\"\nprefix = \"service\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n",
        service.url()
    );
    let leaf = Llmleaf::with_config(EXE, &config).start();
    let key = ("authorization", "Bearer bWU6czNjcmV0");
    let body = r#"{"requests":[{"custom_id":"0","params":{"model":"service/claude-haiku-4-5","max_tokens":64,"messages":[{"role":"user","content":"What is 3 + 3?"}]}}]}"#;
    let made = http::post(leaf.addr, "/v1/messages/batches", &[key], body);
    assert_eq!(made.status, 200, "{}", made.text());
    let path = format!("/v1/messages/batches/{}", made.json().text_at(&["id"]));
    assert_eq!(http::get(leaf.addr, &path, &[key]).status, 200);
    let results = http::get(leaf.addr, &format!("{path}/results"), &[key]);
    assert_eq!(results.status, 200, "{}", results.text());
    let of_batch = |line: &str| line.contains("\"id\":\"service/msgbatch_");
    let record = leaf.wait_lines(1, LONG, of_batch).expect("a record");
    let record = json::parse(&record[0]).expect("a record is JSON");
    assert_eq!(
        record.u64_at(&["cost_nano_usd"]),
        Some((20_000 + 25_000) / 2)
    );
    assert_eq!(record.text_at(&["cost_source"]), "prices");
}
