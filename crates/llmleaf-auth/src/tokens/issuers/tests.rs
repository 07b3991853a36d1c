//! Time is told here, so clocks have edges. What hostile tokens look like is asked of the running program (`llmleaf`, `auth_matrix`).

use super::*;
use crate::tokens::{ClaimPath, ClientAuth, IdentityLimits, Missing, RoleGrant};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const NOW: u64 = 1_800_000_000;

struct Key(&'static str, Ed25519KeyPair);

impl Key {
    fn new(kid: &'static str, seed: u8) -> Self {
        Self(
            kid,
            Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(),
        )
    }

    fn jwk(&self) -> Value {
        let x = B64.encode(self.1.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.0, "x": x})
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.0});
        let signed = [header, claims.clone()].map(|part| B64.encode(part.to_string()));
        let signed = signed.join(".");
        let signature = B64.encode(self.1.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn set(keys: &[&Key]) -> KeySet {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://login.example", "aud": ["other", "llmleaf"], "sub": "alice",
        "exp": NOW + 600, "iat": NOW - 10, "nbf": NOW - 10,
        "realm_access": {"roles": ["dev", "nothing"]}, "https://x.example/groups": "ops",
        "email": "alice@login.example", "scope": "llm chat",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn limits(requests: u64, tokens: Option<u64>) -> IdentityLimits {
    IdentityLimits {
        requests_per_min: Some(requests),
        tokens_per_min: tokens,
        max_concurrent: None,
    }
}

fn mapping() -> Mapping {
    let grant = |models: &[&str], limits| RoleGrant {
        models: models.iter().map(|model| (*model).to_owned()).collect(),
        limits,
        explains: false,
    };
    Mapping {
        name: "corp".to_owned(),
        identity: ClaimPath("sub".to_owned()),
        display: None,
        roles: ["realm_access.roles", "https://x.example/groups"]
            .map(|path| ClaimPath(path.to_owned()))
            .into(),
        grants: BTreeMap::from([
            (
                "dev".to_owned(),
                grant(&["fast"], Some(limits(10, Some(5)))),
            ),
            (
                "ops".to_owned(),
                RoleGrant {
                    explains: true,
                    ..grant(&["smart-*"], Some(limits(7, None)))
                },
            ),
            ("admin".to_owned(), grant(&["*"], None)),
        ]),
        models: vec!["free".to_owned()],
        limits: limits(1, None),
        explains: false,
        scopes: vec!["llm".to_owned()],
    }
}

fn issuer(source: &Arc<KeySource>, introspection: Option<Introspection>) -> Issuer {
    let rules = Rules {
        issuer: "https://login.example".to_owned(),
        audience: vec!["llmleaf".to_owned()],
        algorithms: vec![crate::tokens::Algorithm::EdDsa],
        types: vec!["JWT".to_owned(), "at+jwt".to_owned()],
        leeway: Duration::from_secs(30),
    };
    Issuer::new(rules, mapping(), Arc::clone(source), introspection)
}

fn source(keys: &[&Key]) -> Arc<KeySource> {
    let keys = (!keys.is_empty()).then(|| set(keys));
    Arc::new(KeySource::new(keys, Some(Schedule::new(3_600_000, 30_000))))
}

fn issuers(keys: &[&Key]) -> Issuers {
    Issuers::new(vec![issuer(&source(keys), None)]).unwrap()
}

fn fault(proof: Proof) -> Option<TokenFault> {
    match proof {
        Proof::Proven(_) => None,
        Proof::Refused(AuthError::Token(fault)) => Some(fault),
        other => panic!("{other:?}"),
    }
}

fn proven(proof: Proof) -> Principal {
    match proof {
        Proof::Proven(principal) => principal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn claims_tell_who_it_is_and_what_they_may() {
    let key = Key::new("one", 1);
    let issuers = issuers(&[&key]);
    let alice = proven(issuers.prove(&key.sign(&claims()), true, NOW));
    assert_eq!(&**alice.key_id(), "corp:alice");
    assert_eq!(&**alice.display(), "corp:alice");
    for (model, may) in [
        ("fast", true),
        ("smart-9", true),
        ("free", true),
        ("other", false),
    ] {
        assert_eq!(alice.permits(model), may, "{model}");
    }
    // Of two roles the wider limits; a role that says nothing of them leaves them.
    assert_eq!(alice.limits(), Some(limits(10, None)));
    assert!(alice.explains(), "one of the roles may ask");
    let admin = with("realm_access", json!({"roles": {"admin": 1}}));
    let admin = proven(issuers.prove(&key.sign(&admin), true, NOW));
    assert!(admin.permits("anything"));
    assert_eq!(admin.limits(), Some(limits(7, None)));
    let mut nobody = with("realm_access", json!("not a path"));
    nobody["https://x.example/groups"] = json!(7);
    let nobody = proven(issuers.prove(&key.sign(&nobody), true, NOW));
    assert!(nobody.permits("free") && !nobody.permits("fast"));
    assert_eq!(nobody.limits(), Some(limits(1, None)));
    assert!(!nobody.explains());
}

#[test]
fn f9_the_edges_of_every_clock() {
    let key = Key::new("one", 1);
    let issuers = issuers(&[&key]);
    let told =
        |name: &str, value: Value| fault(issuers.prove(&key.sign(&with(name, value)), true, NOW));
    use TokenFault::{Claim, Early, Expired};
    for (name, value, expected) in [
        ("exp", json!(NOW + 1), None),
        ("exp", json!(NOW - 29), None),
        ("exp", json!(NOW - 30), Some(Expired)),
        ("exp", json!(NOW as f64 - 29.5), Some(Expired)),
        ("exp", json!(0), Some(Expired)),
        ("exp", json!(-1), Some(Claim)),
        ("exp", json!(u64::MAX), Some(Claim)),
        ("exp", json!(1e300), Some(Claim)),
        ("exp", json!(253_402_300_799_u64), None),
        ("exp", json!((NOW + 600).to_string()), Some(Claim)),
        ("exp", json!(null), Some(Claim)),
        ("exp", json!(true), Some(Claim)),
        ("exp", json!([NOW + 600]), Some(Claim)),
        ("nbf", json!(NOW + 30), None),
        ("nbf", json!(NOW + 31), Some(Early)),
        ("nbf", json!("0"), Some(Claim)),
        ("nbf", json!(null), Some(Claim)),
        ("iat", json!(NOW + 30), None),
        ("iat", json!(NOW + 31), Some(Early)),
        ("iat", json!(-5), Some(Claim)),
    ] {
        assert_eq!(told(name, value.clone()), expected, "{name} {value}");
    }
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    assert_eq!(
        fault(issuers.prove(&key.sign(&endless), true, NOW)),
        Some(Claim)
    );
}

#[test]
fn f9_what_was_proven_is_believed_no_longer_than_it_stands() {
    let (one, two) = (Key::new("one", 1), Key::new("two", 2));
    let source = source(&[&one]);
    let issuers = Issuers::new(vec![issuer(&source, None)]).unwrap();
    let token = one.sign(&claims());
    let alice = proven(issuers.prove(&token, true, NOW));
    assert_eq!(alice.ends(), Some(NOW + 630));
    // The clock of the machine may jump: what is remembered is over at its end all the same.
    assert_eq!(
        fault(issuers.prove(&token, true, NOW + 630)),
        Some(TokenFault::Expired)
    );
    assert_eq!(
        fault(issuers.prove(&token, true, NOW - 3600)),
        None,
        "remembered"
    );
    let digest = issuers.digest(&token);
    assert!(issuers.proven.get(&digest, NOW + 599).is_some());
    assert!(
        issuers.proven.get(&digest, NOW + 600).is_none(),
        "not for longer than it says"
    );
    // A key that stays is the same key; one that goes takes along what it proved.
    source.install(set(&[&two, &one]));
    assert!(!identity(&alice).is_withdrawn());
    source.install(set(&[&two]));
    assert!(identity(&alice).is_withdrawn());
    assert!(matches!(
        issuers.prove(&token, true, NOW),
        Proof::NeedsKeys(0, Missing::One)
    ));
    let bob = proven(issuers.prove(&two.sign(&with("sub", json!("bob"))), true, NOW));
    issuers.close(None);
    assert!(identity(&bob).is_withdrawn());
}

/// What was proven rests on its own issuer: another row of the configuration may be edited as often as it likes.
#[test]
fn an_issuer_that_stays_as_it_was_keeps_what_it_has_proven() {
    let (one, two) = (Key::new("one", 1), Key::new("two", 2));
    let other = |mapping: Mapping| {
        let mut other = issuer(&source(&[&two]), None);
        other.rules.issuer = "https://other.example".to_owned();
        other.mapping = mapping;
        Arc::new(other)
    };
    let stays = Arc::new(issuer(&source(&[&one]), None));
    let before = Issuers::new(vec![Arc::clone(&stays), other(mapping())]).unwrap();
    let of_stays = one.sign(&claims());
    let of_other = two.sign(&with("iss", json!("https://other.example")));
    let alice = proven(before.prove(&of_stays, true, NOW));
    let bob = proven(before.prove(&of_other, true, NOW));
    let edited = Mapping {
        models: vec!["more".to_owned()],
        ..mapping()
    };
    let next = before.succeeded_by(vec![other(edited), stays]);
    assert!(!identity(&bob).is_withdrawn(), "not before it is in effect");
    before.close(Some(&next));
    assert!(!identity(&alice).is_withdrawn() && identity(&bob).is_withdrawn());
    let again = proven(next.prove(&of_stays, true, NOW));
    assert!(Arc::ptr_eq(&identity(&again), &identity(&alice)));
    assert!(proven(next.prove(&of_other, true, NOW)).permits("more"));
    next.close(None);
    assert!(identity(&alice).is_withdrawn());
}

fn identity(principal: &Principal) -> Arc<Identity> {
    match &principal.holder {
        crate::grant::Holder::Token(identity) => Arc::clone(identity),
        crate::grant::Holder::Key { .. } => panic!("a key"),
    }
}

#[test]
fn f11_a_token_chooses_among_the_keys_that_are_there() {
    let (one, two) = (Key::new("one", 1), Key::new("two", 2));
    let token = one.sign(&claims());
    assert!(matches!(
        issuers(&[]).prove(&token, true, NOW),
        Proof::NeedsKeys(0, Missing::All)
    ));
    let only_two = issuers(&[&two]);
    assert!(matches!(
        only_two.prove(&token, true, NOW),
        Proof::NeedsKeys(0, Missing::One)
    ));
    // Nothing is fetched for a token that would be refused whatever the keys.
    let stale = one.sign(&with("exp", json!(1)));
    assert_eq!(
        fault(only_two.prove(&stale, true, NOW)),
        Some(TokenFault::Expired)
    );
    let foreign = one.sign(&with("iss", json!("https://login.example/")));
    assert_eq!(
        fault(only_two.prove(&foreign, true, NOW)),
        Some(TokenFault::Issuer)
    );
    // Two keys of one name: whichever made it.
    let both = issuers(&[&Key::new("one", 9), &one]);
    proven(both.prove(&token, true, NOW));
    let forged = Key::new("one", 7).sign(&claims());
    assert_eq!(
        fault(both.prove(&forged, true, NOW)),
        Some(TokenFault::Signature)
    );
}

#[test]
fn what_names_nobody_or_lacks_a_scope_is_not_let_in() {
    let key = Key::new("one", 1);
    let issuers = issuers(&[&key]);
    for name in [
        json!(""),
        json!(7),
        json!(null),
        json!(["alice"]),
        json!(" alice"),
        json!("a\u{0}b"),
        json!("al\u{200b}ice"),
        json!("\u{202e}ecila"),
        json!("a\u{feff}"),
        json!("x".repeat(256)),
    ] {
        let proof = issuers.prove(&key.sign(&with("sub", name.clone())), true, NOW);
        assert_eq!(fault(proof), Some(TokenFault::Identity), "{name}");
    }
    for scope in [
        json!("chat"),
        json!("llmx"),
        json!(""),
        json!(null),
        json!(["llm chat"]),
    ] {
        let proof = issuers.prove(&key.sign(&with("scope", scope.clone())), true, NOW);
        let Proof::Refused(AuthError::InsufficientScope { needed }) = proof else {
            panic!("{scope}");
        };
        assert_eq!(needed, "llm");
    }
    let listed = key.sign(&with("scope", json!(["x", "llm"])));
    proven(issuers.prove(&listed, true, NOW));
    let bound = key.sign(&with("cnf", json!({"jkt": "x"})));
    assert_eq!(
        fault(issuers.prove(&bound, true, NOW)),
        Some(TokenFault::Bound)
    );
}

/// How an issuer is asked about all tokens.
fn how() -> Introspection {
    Introspection {
        asked: Asked::All,
        auth: ClientAuth::Basic("me".to_owned(), crate::Secret::new("s:e c".to_owned())),
        ttl: Duration::from_secs(30),
    }
}

fn question(issuers: &Issuers, token: &str, signed: bool, now: u64) -> Question {
    match issuers.prove(token, signed, now) {
        Proof::NeedsAnswer(question) => *question,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_issuer_is_asked_and_its_answer_is_read_strictly() {
    let basic = how().authorization().unwrap();
    assert_eq!(basic.expose(), "Basic bWU6cyUzQWUrYw==");
    assert_eq!(
        how().form("a+b/c").expose(),
        "token=a%2Bb%2Fc&token_type_hint=access_token"
    );
    let issuers = Issuers::new(vec![issuer(&source(&[]), Some(how()))]).unwrap();
    let ask = |token: &str| question(&issuers, token, false, NOW);
    let good = json!({"active": true, "sub": "eve", "scope": "llm", "exp": NOW + 5});
    let opaque = "opaque-token-0123456789";
    for (change, value, expected) in [
        ("active", json!("true"), AuthError::IssuerUnavailable),
        ("active", json!(null), AuthError::IssuerUnavailable),
        (
            "active",
            json!(false),
            AuthError::Token(TokenFault::Inactive),
        ),
        (
            "iss",
            json!("https://evil.example"),
            AuthError::Token(TokenFault::Issuer),
        ),
        (
            "aud",
            json!("other"),
            AuthError::Token(TokenFault::Audience),
        ),
        (
            "exp",
            json!(NOW - 31),
            AuthError::Token(TokenFault::Expired),
        ),
        ("exp", json!("soon"), AuthError::Token(TokenFault::Claim)),
        (
            "token_type",
            json!("DPoP"),
            AuthError::Token(TokenFault::Bound),
        ),
        ("sub", json!(null), AuthError::Token(TokenFault::Identity)),
        (
            "scope",
            json!("chat"),
            AuthError::InsufficientScope {
                needed: "llm".to_owned(),
            },
        ),
    ] {
        let mut answer = good.clone();
        answer[change] = value;
        let token = format!("{opaque}{change}{expected}");
        let told = issuers.answered(ask(&token), answer.to_string().as_bytes(), NOW);
        assert_eq!(told.unwrap_err(), expected, "{answer}");
        // Who is refused is not asked about with each request.
        match issuers.prove(&token, false, NOW + 9) {
            Proof::NeedsAnswer(_) => assert_eq!(expected, AuthError::IssuerUnavailable),
            proof => assert!(matches!(proof, Proof::Refused(told) if told == expected)),
        }
    }
    let eve = issuers.answered(ask(opaque), good.to_string().as_bytes(), NOW);
    assert_eq!(&**eve.unwrap().key_id(), "corp:eve");
    proven(issuers.prove(opaque, false, NOW + 4));
    assert!(matches!(
        issuers.prove(opaque, false, NOW + 5),
        Proof::NeedsAnswer(_)
    ));
}

/// A signed token is who its signature says, as long as its issuer says that it is active.
#[test]
fn a_signed_token_may_be_asked_about_too() {
    let key = Key::new("one", 1);
    let issuers = Issuers::new(vec![issuer(&source(&[&key]), Some(how()))]).unwrap();
    let token = key.sign(&claims());
    let first = question(&issuers, &token, true, NOW);
    let alice = issuers.answered(first, br#"{"active":true}"#, NOW).unwrap();
    assert_eq!(&**alice.key_id(), "corp:alice");
    assert_eq!(alice.answered_until(), Some(NOW + 30), "it may be revoked");
    proven(issuers.prove(&token, true, NOW + 29));
    let later = question(&issuers, &token, true, NOW + 30);
    let told = issuers.answered(later, br#"{"active":false}"#, NOW + 30);
    assert_eq!(told.unwrap_err(), AuthError::Token(TokenFault::Inactive));
    let known = fault(issuers.prove(&token, true, NOW + 39));
    assert_eq!(known, Some(TokenFault::Inactive));
    question(&issuers, &token, true, NOW + 40);
}
