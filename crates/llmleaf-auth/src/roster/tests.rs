use super::*;

fn entry(id: &str, name: Option<&str>) -> KeyEntry {
    KeyEntry {
        id: id.into(),
        name: name.map(Into::into),
        hash: PasswordHash::parse("$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO")
            .unwrap(),
        allowed_models: None,
    }
}

#[test]
fn names_are_checked() {
    let id = |text: &str| text.to_owned();
    for (entries, expected) in [
        (vec![entry("", None)], RosterError::Empty { position: 0 }),
        (
            vec![entry("a", Some(""))],
            RosterError::Empty { position: 0 },
        ),
        (
            vec![entry("a:b", None)],
            RosterError::Colon {
                position: 0,
                id: id("a:b"),
            },
        ),
        (
            vec![entry("a\n", None)],
            RosterError::ControlCharacter { position: 0 },
        ),
        (
            vec![entry("a", Some("b\0"))],
            RosterError::ControlCharacter { position: 0 },
        ),
        (
            vec![entry(&"a".repeat(129), None)],
            RosterError::TooLong { position: 0 },
        ),
        (
            vec![entry("a", None), entry("a", None)],
            RosterError::DuplicateId {
                position: 1,
                id: id("a"),
            },
        ),
        (
            vec![entry("a", Some("x")), entry("a", Some("y"))],
            RosterError::DuplicateId {
                position: 1,
                id: id("a"),
            },
        ),
        (
            vec![entry("a", Some("x")), entry("b", Some("x"))],
            RosterError::DuplicateDisplay {
                position: 1,
                display: id("x"),
            },
        ),
        (
            vec![entry("a", None), entry("b", Some("a"))],
            RosterError::DuplicateDisplay {
                position: 1,
                display: id("a"),
            },
        ),
        (
            vec![entry("b", Some("a")), entry("a", None)],
            RosterError::DuplicateDisplay {
                position: 0,
                display: id("a"),
            },
        ),
    ] {
        assert_eq!(Roster::new(entries).unwrap_err(), expected);
    }
}

#[test]
fn a_name_may_contain_a_colon_and_equal_its_own_id() {
    let roster = Roster::new(vec![
        entry("a", Some("Team: A")),
        entry("b", Some("b")),
        entry("c", None),
    ])
    .unwrap();
    assert_eq!(roster.len(), 3);
    assert_eq!(&*roster.get("a").unwrap().display, "Team: A");
    assert_eq!(&*roster.get("c").unwrap().display, "c");
    assert!(roster.get("d").is_none());
}

#[test]
fn sameness_is_of_every_field() {
    let roster = |entries| Roster::new(entries).unwrap();
    let base = || vec![entry("a", None), entry("b", Some("B"))];
    assert!(roster(base()).same_as(&roster(base())));
    let mut models = base();
    models[0].allowed_models = Some(ModelPatterns::new(["m"]));
    let mut hash = base();
    hash[0].hash = PasswordHash::parse(&crate::NewKey::generate("a").unwrap().stored_hash).unwrap();
    for other in [
        vec![],
        vec![entry("a", None)],
        vec![entry("a", None), entry("b", None)],
        models,
        hash,
    ] {
        assert!(!roster(base()).same_as(&roster(other)));
    }
}
