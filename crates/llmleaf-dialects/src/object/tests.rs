use super::*;
use proptest::prelude::*;

/// What is read must be what the parser reads, and what is refused must be refused in its words.
fn agrees(text: &str) {
    let parsed: Result<Object<'_>, _> = serde_json::from_str(text);
    let told = |read: Result<Object<'_>, serde_json::Error>| match read {
        Ok(object) => Ok(object
            .fields
            .into_iter()
            .map(|(key, value)| (key.into_owned(), value.get().to_owned()))
            .collect::<Vec<_>>()),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(told(Object::parse(text)), told(parsed), "{text}");
    let Ok(value) = serde_json::from_str::<&RawValue>(text) else {
        return;
    };
    let texts = |items: Option<Vec<&RawValue>>| {
        items.map(|items| {
            items
                .into_iter()
                .map(|i| i.get().to_owned())
                .collect::<Vec<_>>()
        })
    };
    let parsed: Option<Vec<&RawValue>> = serde_json::from_str(text).ok();
    assert_eq!(texts(items(value)), texts(parsed), "{text}");
    let parsed: Option<String> = serde_json::from_str(text).ok();
    assert_eq!(string(value).map(Cow::into_owned), parsed, "{text}");
}

#[test]
fn what_was_read_is_a_raw_value_as_it_is() {
    for text in ["{}", "[1, 2]", "\"a\\n\"", "1.50", "null"] {
        assert_eq!(raw(text).unwrap().get(), text);
    }
    let text = " {\"a\" : [1 , {\"b\":2}] , \"\\u0062\":\"x\"} ";
    assert!(Object::skimmed(text).is_some());
}

#[test]
fn objects_of_many_fields_and_deep_ones_are_read_as_the_parser_reads_them() {
    for count in [PAIRWISE - 1, PAIRWISE, PAIRWISE + 1, 100] {
        let mut fields: Vec<String> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        agrees(&format!("{{{}}}", fields.join(",")));
        fields.push("\"k7\":0".to_owned());
        agrees(&format!("{{{}}}", fields.join(",")));
    }
    for depth in [126, 127, 128, 129, 300] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        agrees(&format!("{{\"a\":{open}{close}}}"));
        agrees(&format!("{open}{close}"));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_as_the_parser_reads_it(text in "[{}\\[\\],:\" \\\\u0-9adn.e/tf-]{0,20}") {
        agrees(&text);
        agrees(&format!("\"{text}\""));
        agrees(&format!("[{text}]"));
        agrees(&format!("{{\"a\":1,{text}}}"));
        agrees(&format!("{{\"{text}\":1, \"b\" : \"{text}\" }}"));
    }

    #[test]
    fn any_string_comes_back_from_its_writing(text in "(\\PC|[\\x00-\\x20\"\\\\/]|abcdefgh){0,40}") {
        let written = serde_json::to_string(&text).unwrap();
        agrees(&written);
        let mut out = b"before".to_vec();
        crate::writer::string(&mut out, &text);
        assert_eq!(out, format!("before{written}").into_bytes());
    }
}
