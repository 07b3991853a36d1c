use super::*;

/// The page of the documentation; `llmleaf conform > docs/conformance.md` makes it anew.
const PAGE: &str = include_str!("../../../../docs/conformance.md");

#[test]
fn nothing_is_lost_in_silence() {
    let (text, faults) = table::print(None, None);
    assert_eq!(faults, 0, "{text}");
}

#[test]
fn the_page_shows_what_is() {
    let (text, _) = table::print(None, None);
    // The page is larger than a message should be: the first line that differs says enough.
    let differs = text
        .lines()
        .zip(PAGE.lines())
        .find(|(is, shown)| is != shown);
    assert_eq!(differs, None, "`llmleaf conform > docs/conformance.md`");
    assert_eq!(text.lines().count(), PAGE.lines().count());
}

/// A table whose checks always hold would say that all is well.
#[test]
fn a_feature_that_is_missing_is_seen() {
    let openai = llmleaf_providers::find("openai").expect("a row");
    let anthropic = llmleaf_providers::find("anthropic").expect("a row");
    for feature in asks::ALL {
        let mut request = ChatRequest::new(Dialect::ChatCompletions.name(), "sample");
        if feature.name != "text" && feature.name != "output limit" {
            asks::plain(&mut request);
        }
        assert!(!(feature.holds)(&request), "{}", feature.name);
    }
    let gone = asks::Feature {
        name: "gone",
        make: |_| {},
        holds: |request| request.dialect == Dialect::ChatCompletions.name(),
    };
    assert_eq!(ask(&gone, Dialect::ChatCompletions, openai), Cell::Whole);
    assert_eq!(
        ask(&gone, Dialect::ChatCompletions, anthropic),
        Cell::Silent
    );
}
