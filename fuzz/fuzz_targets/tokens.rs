//! Any bytes as an issuer's keys, as a token, and as what an issuer says: nothing panics, nothing is proven, no fault shows a token.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use llmleaf_auth::tokens::{
    Asked, ClaimPath, ClientAuth, Introspection, Issuer, KeySource, Mapping, Rules, Schedule, discovery,
};
use llmleaf_auth::{AuthError, Issuers, KeySet, Proof};

const ISSUER: &str = "https://a";
const NOW: u64 = 1_800_000_000;

fuzz_target!(|input: (&[u8], &str, &[u8])| {
    let (keys, token, answer) = input;
    let _ = discovery::key_set_address(keys, ISSUER);
    let keys = KeySet::parse(keys).ok();
    let source = Arc::new(KeySource::new(keys, Some(Schedule::new(1000, 1000))));
    let issuers = Issuers::new(vec![issuer(source)]).expect("random bytes");
    match issuers.prove(token, true, NOW) {
        Proof::Proven(_) => panic!("nobody can sign that"),
        Proof::Refused(error) => told(&error, token),
        Proof::NeedsKeys(..) => {}
        // It asks only after a signature was right.
        Proof::NeedsAnswer(_) => panic!("nobody can sign that"),
    }
    let Proof::NeedsAnswer(question) = issuers.prove("an opaque token of one", false, NOW) else {
        panic!("it is to be asked about");
    };
    if let Err(error) = issuers.answered(*question, answer, NOW) {
        told(&error, token);
    }
});

fn told(error: &AuthError, token: &str) {
    let shown = format!("{error} {error:?} {}", error.message());
    assert!(token.len() < 24 || !shown.contains(token), "{shown}");
}

fn issuer(source: Arc<KeySource>) -> Issuer {
    let rules = Rules {
        issuer: ISSUER.to_owned(),
        audience: vec!["a".to_owned()],
        algorithms: llmleaf_auth::tokens::Algorithm::NAMES.iter().map(|(_, alg)| *alg).collect(),
        types: vec!["JWT".to_owned()],
        leeway: Duration::from_secs(30),
    };
    let mapping = Mapping {
        name: "a".to_owned(),
        identity: ClaimPath("sub".to_owned()),
        display: Some(ClaimPath("a.b".to_owned())),
        roles: vec![ClaimPath("roles".to_owned())],
        grants: Default::default(),
        models: Vec::new(),
        limits: Default::default(),
        explains: false,
        scopes: Vec::new(),
    };
    let asked = Introspection {
        asked: Asked::All,
        auth: ClientAuth::None,
        ttl: Duration::from_secs(30),
    };
    Issuer::new(rules, mapping, source, Some(asked))
}
