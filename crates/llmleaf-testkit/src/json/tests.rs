use super::{Value, parse};

#[test]
fn spelling_and_order_survive() {
    let source = r#"{"b":1.0,"a":[1e2,-0,9007199254740993],"s":"\u00e9\/\ud83d\ude00","n":null}"#;
    let value = parse(source).unwrap();
    assert_eq!(value.to_string(), source);
    assert_eq!(value.text_at(&["s"]), "é/😀");
    assert!(value.at(&["n"]).is_none());
}

#[test]
fn numbers_compare_by_value() {
    for (a, b) in [
        ("100", "1e2"),
        ("1.50", "15e-1"),
        ("-0", "0.000"),
        ("0e9", "0"),
    ] {
        assert!(
            parse(a).unwrap().same_meaning(&parse(b).unwrap()),
            "{a} {b}"
        );
    }
    for (a, b) in [
        ("9007199254740993", "9007199254740992"),
        ("1", "-1"),
        ("1", "10"),
    ] {
        assert!(
            !parse(a).unwrap().same_meaning(&parse(b).unwrap()),
            "{a} {b}"
        );
    }
}

#[test]
fn key_order_does_not_change_the_meaning() {
    let a = parse(r#"{"x":1,"y":{"p":[],"q":"é"}}"#).unwrap();
    let b = parse(r#"{"y":{"q":"\u00e9","p":[]},"x":1.0}"#).unwrap();
    assert!(a.same_meaning(&b));
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "01",
        "1.",
        "+1",
        "nul",
        "\"\u{1}\"",
        "\"\\x\"",
        "{} {}",
        "\"\\u12g4\"",
        "NaN",
        "'a'",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}

#[test]
fn counts_are_plain_integers_only() {
    for text in ["-1", "1.5", "1e3", "\"7\"", "18446744073709551616"] {
        assert_eq!(parse(text).unwrap().as_u64(), None, "{text}");
    }
    assert_eq!(parse("7").unwrap().as_u64(), Some(7));
}

#[test]
fn a_lone_surrogate_is_not_lost_in_the_spelling() {
    let value = parse(r#""\ud800x""#).unwrap();
    assert_eq!(value.as_str(), Some("\u{fffd}x"));
    assert!(matches!(value, Value::String { raw, .. } if raw == r"\ud800x"));
}
