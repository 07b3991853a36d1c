//! Bodies that are JSON and mean harm: what is read of them is what is sent of them.

use llmleaf_testkit::http::{Connection, End, Response, request};
use llmleaf_testkit::replay::Replay;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::{answer, stage};

/// Posts a body; answers come from whatever wire the model leads to.
fn post(stage: &Stage, consumer: Wire, provider: Wire, body: &str) -> Response {
    stage.first.on(move |_| answer(provider, false));
    let bearer = stage.bearer();
    let mut connection = Connection::open(stage.leaf.addr);
    let headers = [("authorization", bearer.as_str())];
    connection.send(&request("POST", consumer.path(), &headers, body.as_bytes()));
    connection.response()
}

/// A good body with more fields; the model leads to a provider of this wire.
fn with(provider: Wire, more: &str) -> String {
    format!(
        r#"{{"model":"{}","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]{more}}}"#,
        provider.name()
    )
}

#[track_caller]
fn expect_refused(wire: Wire, response: &Response, param: &str, case: &str) {
    let text = response.text();
    assert_eq!(
        (response.status, response.end),
        (400, End::Clean),
        "{wire}, {case}: {text}"
    );
    assert!(
        !wire.read_error(response).message.is_empty(),
        "{wire}, {case}"
    );
    assert!(text.contains(param), "{wire}, {case}: {text}");
}

#[test]
fn e3_what_was_authorised_is_what_is_sent() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for (case, more) in [
            ("the model again", r#","model":"messages-second""#),
            (
                "the model again, spelled",
                r#","mod\u0065l":"messages-second""#,
            ),
            ("messages again", r#","messages":[]"#),
            ("messages again, spelled", r#","\u006dessages":[]"#),
            ("max_tokens again", r#","max_tokens":1"#),
            ("an unknown field twice", r#","x":1,"x":2"#),
            ("__proto__ twice", r#","__proto__":{},"__proto__":{}"#),
        ] {
            let response = post(&stage, pair.0, pair.1, &with(pair.1, more));
            expect_refused(pair.0, &response, "twice", case);
        }
        // Other spellings are other fields, and no model is asked for but the one that was authorised.
        for more in [
            r#","Model":"second","MODEL":"second","model ":"second""#,
            r#","__proto__":{"model":"second"},"constructor":{"model":"second"}"#,
            r#","metadata":{"model":"second"}"#,
        ] {
            let response = post(&stage, pair.0, pair.1, &with(pair.1, more));
            assert_eq!(response.status, 200, "{more}: {}", response.text());
            let sent = stage.first.requests().pop().expect("a request");
            let sent = sent.json().expect("JSON");
            assert_eq!(sent.text_at(&["model"]), "m-1", "{more}");
        }
    }
    assert_eq!(stage.second.connections().len(), 0);
}

#[test]
fn e4_numbers_are_exact_or_refused() {
    let stage = stage().start();
    for literal in [
        "18446744073709551616",
        "-0",
        "0.1000000000000000055511151231257827",
        "1e400",
        "1E+2",
        "123456789012345678901234567890",
        "-9223372036854775809",
        "9007199254740993",
    ] {
        for pair in Wire::PAIRS {
            // Where both ends read schemas as they are, and where only one knows the field.
            let tools = format!(
                r#","tools":[{{"type":"function","function":{{"name":"f","parameters":{{"type":"object","x":{literal}}}}}}}]"#
            );
            let tools = match pair.0 {
                Wire::Messages => format!(
                    r#","tools":[{{"name":"f","input_schema":{{"type":"object","x":{literal}}}}}]"#
                ),
                _ => tools,
            };
            let response = post(&stage, pair.0, pair.1, &with(pair.1, &tools));
            if response.status == 400 {
                continue;
            }
            assert_eq!(response.status, 200, "{literal}: {}", response.text());
            let sent = stage.first.requests().pop().expect("a request").text();
            assert!(
                sent.contains(&format!(":{literal}}}")),
                "{literal}, {} to {}: {sent}",
                pair.0,
                pair.1
            );
        }
    }
    for literal in [
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        "01",
        ".5",
        "1.",
        "0x1",
        "1_0",
        "1e",
        "--1",
    ] {
        for wire in Wire::BOTH {
            let response = post(
                &stage,
                wire,
                wire,
                &with(wire, &format!(r#","x":{literal}"#)),
            );
            expect_refused(wire, &response, "JSON", literal);
        }
    }
}

#[test]
fn e5_text_is_what_it_was_or_refused() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for text in [
            r"a\u0000b",
            r"a\ufeffb",
            r"\ud83d\ude00",
            r"a\u2028b",
            r"a\/\b\fb",
        ] {
            let body = with(pair.1, "").replace("\"hi\"", &format!("\"{text}\""));
            let response = post(&stage, pair.0, pair.1, &body);
            assert_eq!(response.status, 200, "{text}: {}", response.text());
            let sent = stage.first.requests().pop().expect("a request");
            let meant = llmleaf_testkit::json::parse(&format!("\"{text}\"")).expect("JSON");
            let sent = sent.json().expect("JSON");
            // Strings are compared as they read, however they are spelled.
            let text_of = |shown: String| shown.split("text: ").last().map(str::to_owned);
            let wanted = text_of(format!("{meant:?}")).unwrap_or_default();
            let wanted = wanted.split(", raw").next().unwrap_or_default();
            let whole = format!("{sent:?}");
            assert!(
                whole.contains(&format!("text: {wanted},")),
                "{text}: {whole}"
            );
        }
        for text in [r"\ud800", r"\udc00x", r"\ud800\ud800"] {
            let body = with(pair.1, "").replace("\"hi\"", &format!("\"{text}\""));
            let response = post(&stage, pair.0, pair.1, &body);
            // No text in UTF-8 has half a character: it is carried as it is, or refused, and never guessed.
            if response.status == 200 {
                let sent = stage.first.requests().pop().expect("a request").text();
                assert!(
                    sent.to_lowercase().contains(text),
                    "{text}, {} to {}: {sent}",
                    pair.0,
                    pair.1
                );
            } else {
                assert_eq!(response.status, 400, "{text}: {}", response.text());
            }
        }
        let marked = format!("\u{feff}{}", with(pair.1, ""));
        assert_eq!(
            post(&stage, pair.0, pair.1, &marked).status,
            200,
            "a byte order mark in front"
        );
    }
}

#[test]
fn e6_e9_what_cannot_be_meant_is_refused_by_name() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for (param, more) in [
            ("max_tokens", r#""max_tokens":1000000000000"#),
            ("max_tokens", r#""max_tokens":"many""#),
            ("max_tokens", r#""max_tokens":-5"#),
            ("temperature", r#""temperature":"hot""#),
            ("temperature", r#""temperature":1e400"#),
            ("tools", r#""tools":{}"#),
        ] {
            let body = with(pair.1, &format!(",{more}")).replacen(r#""max_tokens":9,"#, "", 1);
            expect_refused(pair.0, &post(&stage, pair.0, pair.1, &body), param, more);
        }
        for messages in ["[]", "null", "{}", "\"hi\"", "5"] {
            let body = format!(
                r#"{{"model":"{}","max_tokens":9,"messages":{messages}}}"#,
                pair.1.name()
            );
            expect_refused(
                pair.0,
                &post(&stage, pair.0, pair.1, &body),
                "messages",
                messages,
            );
        }
        let body = format!(r#"{{"model":"{}","max_tokens":9}}"#, pair.1.name());
        expect_refused(
            pair.0,
            &post(&stage, pair.0, pair.1, &body),
            "messages",
            "none",
        );
    }
    for n in ["0", "129", "1000000", "1.5"] {
        let response = post(
            &stage,
            Wire::Chat,
            Wire::Chat,
            &with(Wire::Chat, &format!(r#","n":{n}"#)),
        );
        expect_refused(Wire::Chat, &response, "\"n\"", n);
    }
    assert_eq!(stage.first.connections().len(), 0, "nobody was asked");
}

#[test]
fn e7_no_field_leads_anywhere_else() {
    let stage = stage().start();
    let trap = Replay::start();
    let url = trap.url();
    for pair in Wire::PAIRS {
        for name in [
            "api_base",
            "base_url",
            "baseUrl",
            "api_key",
            "api_type",
            "custom_llm_provider",
            "headers",
            "extra_headers",
            "extra_body",
            "endpoint",
            "url",
            "proxy",
            "organization",
            "deployment",
        ] {
            for value in [
                format!("\"{url}\""),
                format!("{{\"x-url\":\"{url}\",\"authorization\":\"Bearer x\"}}"),
            ] {
                let body = with(pair.1, &format!(",\"{name}\":{value}"));
                let response = post(&stage, pair.0, pair.1, &body);
                assert!(
                    [200, 400].contains(&response.status),
                    "{name}: {}",
                    response.text()
                );
                let Some(sent) = stage.first.take_requests().pop() else {
                    continue;
                };
                let credential = sent.header("authorization").or(sent.header("x-api-key"));
                assert!(
                    credential.is_some_and(|own| own.contains("canary")),
                    "{name}"
                );
                assert_eq!(sent.header("x-url"), None, "{name}");
            }
        }
    }
    assert_eq!(trap.connections().len(), 0);
}

#[test]
fn e8_a_stream_is_asked_for_by_true() {
    let stage = stage().start();
    for wire in Wire::BOTH {
        for value in ["\"true\"", "1", "0", "[]", "{}", "\"\""] {
            let response = post(
                &stage,
                wire,
                wire,
                &with(wire, &format!(r#","stream":{value}"#)),
            );
            expect_refused(wire, &response, "stream", value);
        }
        for more in ["", r#","stream":null"#, r#","stream":false"#] {
            let response = post(&stage, wire, wire, &with(wire, more));
            assert_eq!(wire.read(&response).text(), "first answer", "{more}");
        }
    }
}

#[test]
fn e12_media_in_a_body_is_not_looked_into() {
    let stage = stage().start();
    let data = "QUJD".repeat(1 << 20);
    for (case, data) in [
        ("4 MiB", data.as_str()),
        ("no padding", "QQ"),
        ("no base64", "%%%"),
    ] {
        let body = with(Wire::Chat, "").replace(
            "\"hi\"",
            &format!(
                r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]"#
            ),
        );
        let response = post(&stage, Wire::Chat, Wire::Chat, &body);
        assert_eq!(response.status, 200, "{case}");
        let sent = stage.first.take_requests().pop().expect("a request").text();
        assert!(sent.contains(data), "{case}: as it was");
        let across = body.replacen("\"chat\"", "\"messages\"", 1);
        let response = post(&stage, Wire::Chat, Wire::Messages, &across);
        assert!(
            [200, 400].contains(&response.status),
            "{case}: {}",
            response.text()
        );
    }
}

/// The most memory that the program ever held, in KiB, where the system tells.
fn peak_kib(stage: &Stage) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stage.leaf.pid())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn e2_a_body_costs_no_more_than_four_times_its_size() {
    const MIB: usize = 3;
    let lists = format!("[{}[]]", "[],".repeat(MIB * (1 << 20) / 3));
    let keys: Vec<String> = (0..MIB * (1 << 20) / 12)
        .map(|n| format!("\"k{n:06}\":1"))
        .collect();
    for (case, more) in [
        ("lists in a field", format!(",\"x\":{lists}")),
        ("keys in a field", format!(",\"x\":{{{}}}", keys.join(","))),
        ("fields", format!(",{}", keys.join(","))),
        (
            "a long text",
            format!(",\"x\":\"{}\"", "x".repeat(MIB << 20)),
        ),
    ] {
        for pair in Wire::PAIRS {
            // A program of its own each: a peak does not come down again.
            let stage = stage().start();
            assert_eq!(post(&stage, pair.0, pair.1, &with(pair.1, "")).status, 200);
            let before = peak_kib(&stage);
            let body = with(pair.1, &more);
            let response = post(&stage, pair.0, pair.1, &body);
            assert!(
                [200, 400].contains(&response.status),
                "{case}: {}",
                response.status
            );
            let grown = peak_kib(&stage)
                .zip(before)
                .map(|(now, before)| now.saturating_sub(before));
            let size = body.len() as u64 / 1024;
            println!(
                "{case}, {} to {}: {grown:?} KiB for {size} KiB",
                pair.0, pair.1
            );
            assert!(
                grown < Some(4 * size + 4096),
                "{case}, {} to {}: {grown:?} KiB for {size}",
                pair.0,
                pair.1
            );
        }
    }
}
