use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;

#[test]
fn counts_outside_the_documented_totals_are_found_by_the_grand_total() {
    let usage = read(r#"{"prompt_tokens":291,"completion_tokens":26,"total_tokens":506,"prompt_tokens_details":{"cached_tokens":244},"completion_tokens_details":{"reasoning_tokens":189},"cost_in_usd_ticks":1399000}"#).unwrap();
    assert_eq!(
        (
            usage.input,
            usage.input_cache_read,
            usage.output,
            usage.output_reasoning
        ),
        (47, 244, 26, 189)
    );
    assert_eq!(usage.cost_nano_usd, Some(139_900));
    let usage = read(r#"{"prompt_tokens":11,"completion_tokens":15,"total_tokens":401,"prompt_tokens_details":{"audio_tokens":375,"cached_tokens":9}}"#).unwrap();
    assert_eq!(
        (usage.input, usage.input_cache_read, usage.input_audio),
        (2, 9, 375)
    );
}

#[test]
fn a_plain_report_is_read_as_the_parser_reads_it() {
    let full = r#"{"prompt_tokens":21,"completion_tokens":10,"total_tokens":35,"prompt_tokens_details":{"cached_tokens":9,"cache_write_tokens":2,"audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":1,"image_tokens":2,"new":[]}}"#;
    let with = |old: &str, new: &str| full.replace(old, new);
    for (report, is_plain) in [
        (full.to_owned(), true),
        (with(":21,", " :\n0 ,"), true),
        (
            with(r#"{"pro"#, r#"{"new":{"cached_tokens":1.5},"pro"#),
            true,
        ),
        (with(":21,", ":999999999999999,"), true),
        (with(":21,", ":1000000000000000,"), false),
        (with(":21,", ":18446744073709551616,"), false),
        (with(":21,", ":-1,"), false),
        (with(":21,", ":2.0,"), false),
        (with(":21,", ":2e1,"), false),
        (with(":21,", ":null,"), false),
        (with(":21,", ":\"21\","), false),
        (with(":9,", ":9,\"cached_tokens\":9,"), false),
        (with(":4,", ":4,\"reasoning_tokens\":9,"), false),
        (with(":35,", ":35,\"total_tokens\":35,"), false),
        (with(":35,", ":35,\"prompt_tokens_details\":{},"), false),
        (
            with(":35,", ":35,\"completion_tokens_details\":null,"),
            false,
        ),
        (with("prompt_tokens\"", "prompt\\u005ftokens\""), false),
        (with(":35,", ":35,\"cost\":0.5,"), false),
        (with(":35,", ":35,\"cost_in_usd_ticks\":5,"), false),
        (with(":35,", ":35,\"reasoning_tokens\":5,"), false),
        (with(":35,", ":35,\"cached_tokens\":5,"), false),
        (with(":35,", ":35,\"prompt_cache_hit_tokens\":5,"), false),
        (with(":35,", ":35,\"cache_read_input_tokens\":5,"), false),
        (
            with(":35,", ":35,\"cache_creation_input_tokens\":5,"),
            false,
        ),
        (with(":35,", ":35x,"), false),
        ("{}".to_owned(), true),
    ] {
        assert_eq!(plainly(&report), Some(is_plain), "{report}");
    }
}

/// What the parser reads. It would take a list for the fields in their order, which nobody means.
fn by_parser(report: &str) -> Option<Usage> {
    report.starts_with('{').then(|| parsed(report)).flatten()
}

/// Whether a report is read without the parser, which has to say the same of it; `None` where no report is reached.
fn plainly(report: &str) -> Option<bool> {
    let answer = format!("{{\"usage\": {report} ,\"next\":1}}");
    let mut plainly = None;
    let read = skim::object(&answer, |scan, key, _| {
        if plainly.is_some() {
            return scan.passed().map(drop);
        }
        assert_eq!(&answer[key], "\"usage\"");
        let place = scan.place();
        plainly = Some(plain::read(scan, &answer).is_some());
        scan.back(place);
        assert_eq!(read_at(scan, &answer)?, by_parser(report), "{report}");
        Some(())
    });
    let well_formed = serde_json::from_str::<IgnoredAny>(&answer).is_ok();
    assert_eq!(read.is_some(), well_formed, "{report}");
    plainly
}

#[test]
fn a_report_is_nested_no_deeper_than_an_answer_may_be() {
    for within in ["{\"new\":V}", "{\"prompt_tokens_details\":{\"new\":V}}"] {
        let depth = 1 + within.matches('{').count();
        for levels in [127 - depth, 128 - depth, 129 - depth] {
            let value = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            let report = within.replace('V', &value);
            let answer = format!("{{\"usage\":{report}}}");
            let read = skim::object(&answer, |scan, _, _| read_at(scan, &answer).map(drop));
            assert_eq!(read.is_some(), levels + depth <= 128, "{report}");
        }
    }
}

/// Objects of fields that reports have, and of others, with values of all kinds.
fn report() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        4 => (0u64..100).prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        1 => "-?[0-9]{1,3}(\\.[0-9]{0,2})?(e[+-]?[0-9]{0,2})?",
        1 => prop::sample::select(vec!["null", "true", "\"7\"", "[1]", "00", "", "\"", "x"]).prop_map(str::to_owned),
    ];
    value.prop_recursive(3, 24, 6, |inner| {
        let key = prop::sample::select(KEYS.to_vec());
        let space = prop::sample::select(vec!["", "", "", " ", "\n\t"]);
        let field = (space, key, inner)
            .prop_map(|(s, key, value)| format!("{s}\"{key}\"{s}:{s}{value}{s}"));
        let fields = prop::collection::vec(field, 0..6);
        fields.prop_map(|fields| format!("{{{}}}", fields.join(",")))
    })
}

const KEYS: [&str; 18] = [
    "prompt_tokens",
    "prompt_tokens",
    "completion_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "cached_tokens",
    "cache_write_tokens",
    "audio_tokens",
    "reasoning_tokens",
    "image_tokens",
    "cost",
    "cache_creation",
    "ephemeral_1h_input_tokens",
    "prompt\\u005ftokens",
    "new",
    "",
];

proptest! {
    #[test]
    fn any_report_is_read_as_the_parser_reads_it(report in report()) {
        plainly(&report);
        assert_eq!(read(&report), by_parser(&report));
    }
}

#[test]
fn c12_counts_that_make_no_sense_are_unknown() {
    for text in [
        r#"{"prompt_tokens":-1,"completion_tokens":"7"}"#,
        r#"{"prompt_tokens":1.5}"#,
        r#"{}"#,
        "[1]",
        r#"{"prompt_tokens":18446744073709551616}"#,
        r#"{"prompt_tokens":9007199254740993,"completion_tokens":18446744073709551615}"#,
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(read(r#"{"prompt_tokens":3.0}"#).unwrap().input, 3);
    let most = read(r#"{"prompt_tokens":9007199254740992}"#).unwrap();
    assert_eq!(most.input, 1 << 53);
}

#[test]
fn a_rendered_report_reads_back() {
    for text in [
        r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":20,"cache_write_tokens":30,"audio_tokens":5},"completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":8},"cost":0.00504}"#,
        r#"{"prompt_tokens":1,"completion_tokens":0,"cost":{"total_cost":2}}"#,
    ] {
        let mut usage = read(text).unwrap();
        let mut out = Vec::new();
        render(&usage, &mut out);
        let mut again = read(std::str::from_utf8(&out).unwrap()).unwrap();
        usage.native = None;
        again.native = None;
        assert_eq!(usage, again);
    }
    assert_eq!(dollars(5_040_000), "0.00504");
    assert_eq!(dollars(2_000_000_000), "2");
}
