use super::{Kind, diff, unexplained};

fn found(before: &str, after: &str) -> Vec<(String, Kind)> {
    diff(before, after)
        .unwrap()
        .into_iter()
        .map(|edit| (edit.path, edit.kind))
        .collect()
}

#[test]
fn every_kind_is_found_at_its_path() {
    let before = r#"{"model":"a","n":1.0,"s":"\u00e9","x":{"p":1,"q":2},"gone":true,"l":[1,2,3]}"#;
    let after = r#"{"model":"b","n":1,"s":"é","x":{"q":2,"p":1},"l":[1,9,2,3],"new":{}}"#;
    assert_eq!(
        found(before, after),
        [
            ("model".to_owned(), Kind::Changed),
            ("n".to_owned(), Kind::Respelled),
            ("s".to_owned(), Kind::Respelled),
            ("x".to_owned(), Kind::Reordered),
            ("gone".to_owned(), Kind::Removed),
            ("l[1]".to_owned(), Kind::Added),
            ("new".to_owned(), Kind::Added),
        ]
    );
}

#[test]
fn equal_texts_differ_nowhere_whatever_the_whitespace() {
    assert_eq!(
        found(r#"{"a":[1,{"b":null}]}"#, "{ \"a\" : [1,\n{\"b\":null}] }"),
        []
    );
}

#[test]
fn keys_that_are_no_words_are_quoted() {
    assert_eq!(
        found(r#"{"a":{"b.c":1}}"#, r#"{"a":{"b.c":2}}"#)[0].0,
        r#"a["b.c"]"#
    );
}

#[test]
fn a_repeated_key_that_went_is_seen() {
    assert_eq!(
        found(r#"{"a":1,"a":2}"#, r#"{"a":1}"#)[0],
        ("a".to_owned(), Kind::Removed)
    );
}

#[test]
fn allowed_edits_are_explained_and_no_others() {
    let before = r#"{"model":"a","max_tokens":1.50,"messages":[{"role":"system","content":"x"}]}"#;
    let after = r#"{"model":"b","max_completion_tokens":1.50,"messages":[{"role":"developer","content":"x"}],"stream_options":{"include_usage":true}}"#;
    let allowed = [
        "model",
        "max_tokens→max_completion_tokens",
        "messages[*].role",
        "stream_options.include_usage",
    ];
    assert_eq!(unexplained(before, after, &allowed).unwrap(), []);
    for left_out in 0..allowed.len() {
        let mut fewer = allowed.to_vec();
        fewer.remove(left_out);
        assert!(
            !unexplained(before, after, &fewer).unwrap().is_empty(),
            "{} was needed",
            allowed[left_out]
        );
    }
}

#[test]
fn a_rename_must_not_respell_the_value() {
    let left = unexplained(r#"{"a":1.0}"#, r#"{"b":1}"#, &["a->b"]).unwrap();
    assert_eq!(left.len(), 2);
}

#[test]
fn a_rule_covers_what_is_below_it_but_not_a_longer_name() {
    let rules = ["a"];
    assert!(
        unexplained(r#"{"a":{"b":1}}"#, r#"{"a":{"b":2}}"#, &rules)
            .unwrap()
            .is_empty()
    );
    assert!(
        !unexplained(r#"{"ab":1}"#, r#"{"ab":2}"#, &rules)
            .unwrap()
            .is_empty()
    );
    // A parent that brought more than the allowed leaf is not explained.
    let more = r#"{"stream_options":{"include_usage":true,"x":1}}"#;
    assert!(
        !unexplained("{}", more, &["stream_options.include_usage"])
            .unwrap()
            .is_empty()
    );
}
