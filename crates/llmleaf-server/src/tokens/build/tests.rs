use super::*;

fn config(rows: &[(&str, &str)]) -> Config {
    let row = |(name, more): &(&str, &str)| {
        format!(
            "[[oauth]]\nname = \"{name}\"\nissuer = \"https://{name}.example\"\naudience = [\"llmleaf\"]\n{more}\n"
        )
    };
    let text: String = rows.iter().map(row).collect();
    Config::parse(&text, "test", &|_| None).expect("it is good")
}

fn build(rows: &[(&str, &str)], before: Option<&Arc<Tokens>>) -> Arc<Tokens> {
    let tokens = Tokens::build(&config(rows), before).expect("it is built");
    tokens.expect("there are issuers")
}

/// Whoever edits one row leaves the callers of the others where they are.
#[test]
fn a_row_that_stays_as_it_was_is_the_same_issuer() {
    let first = build(&[("a", ""), ("b", "")], None);
    let same = build(&[("a", ""), ("b", "")], Some(&first));
    assert!(Arc::ptr_eq(&first, &same));
    let edit = "allowed_models = [\"m\"]";
    let next = build(&[("c", ""), ("b", edit), ("a", "")], Some(&first));
    let issuer = |tokens: &Tokens, name: &str| {
        let place = tokens.lines.iter().position(|line| line.name == name);
        Arc::clone(&tokens.issuers.all()[place.expect("it is there")])
    };
    assert!(Arc::ptr_eq(&issuer(&first, "a"), &issuer(&next, "a")));
    assert!(!Arc::ptr_eq(&issuer(&first, "b"), &issuer(&next, "b")));
    // Its keys come from where they came from.
    let pulls = |tokens: &Tokens, place: usize| Arc::clone(&tokens.lines[place].pulls);
    assert!(Arc::ptr_eq(&pulls(&first, 1), &pulls(&next, 1)));
    let again = build(&[("b", edit), ("a", "")], Some(&next));
    for name in ["a", "b"] {
        assert!(Arc::ptr_eq(&issuer(&next, name), &issuer(&again, name)));
    }
}
