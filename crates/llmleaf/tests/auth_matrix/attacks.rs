//! Tokens that are none: each is asked with at an endpoint of every dialect, and each is a 401 there.

use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256};
use llmleaf_testkit::replay::{Replay, Script};
use serde_json::{Value, json};

use super::idp::{
    HEADER, b64, by_ec, by_ed, by_evil_ec, by_evil_ed, by_rsa, by_secret, claims, ec_jwk, ed_jwk,
    key_set, keys, now, raw, rsa_jwk, token, with,
};
use super::shapes::{DOORS, shape};
use super::{ask, leaf_with};

type Attack = (&'static str, String);

/// An algorithm that was not chosen by the operator, or a key that is not for it.
#[expect(clippy::too_many_lines, reason = "a table")]
fn algorithms(good: &Value) -> Vec<Attack> {
    let claims = good.to_string();
    let (rsa, jwk) = (keys().rsa.public_key().as_ref(), rsa_jwk().to_string());
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, rsa)
    );
    let by = |header: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| raw(header, &claims, sign);
    let nothing = |_: &[u8]| Vec::new();
    let hs = |alg: &str| format!(r#"{{"alg":"{alg}","kid":"rsa-1"}}"#);
    let mut all = vec![
        ("none", by(r#"{"alg":"none"}"#, &nothing)),
        ("None", by(r#"{"alg":"None"}"#, &nothing)),
        ("NONE", by(r#"{"alg":"NONE"}"#, &nothing)),
        ("nOnE", by(r#"{"alg":"nOnE","kid":"ed-1"}"#, &nothing)),
        ("none, signed", by(r#"{"alg":"none","kid":"ed-1"}"#, &by_ed)),
        (
            "none after a listed one",
            by(r#"{"alg":"EdDSA","alg":"none"}"#, &nothing),
        ),
        ("a listed one without signature", by(HEADER, &nothing)),
        ("no algorithm", by(r#"{"kid":"ed-1"}"#, &by_ed)),
        ("null", by(r#"{"alg":null,"kid":"ed-1"}"#, &by_ed)),
        ("a number", by(r#"{"alg":1,"kid":"ed-1"}"#, &by_ed)),
        ("a list", by(r#"{"alg":["EdDSA"],"kid":"ed-1"}"#, &by_ed)),
        ("other case", by(r#"{"alg":"eddsa","kid":"ed-1"}"#, &by_ed)),
        ("a space", by(r#"{"alg":" EdDSA","kid":"ed-1"}"#, &by_ed)),
        ("a NUL", by(r#"{"alg":"EdDSA\u0000","kid":"ed-1"}"#, &by_ed)),
        ("Alg", by(r#"{"Alg":"EdDSA","kid":"ed-1"}"#, &by_ed)),
        (
            "RSA's name for an Ed25519 key",
            by(r#"{"alg":"RS256","kid":"ed-1"}"#, &by_ed),
        ),
        (
            "ECDSA's name for an RSA key",
            by(r#"{"alg":"ES256","kid":"rsa-1"}"#, &by_ec),
        ),
        (
            "Ed25519's name for an RSA key",
            by(r#"{"alg":"EdDSA","kid":"rsa-1"}"#, &by_ed),
        ),
        (
            "the right signature, another key's name",
            by(r#"{"alg":"ES256","kid":"ed-1"}"#, &by_ec),
        ),
        (
            "RS384, which is not listed",
            by(
                r#"{"alg":"RS384","kid":"rsa-1"}"#,
                &by_rsa(&RSA_PKCS1_SHA384),
            ),
        ),
        (
            "PS256, which is not listed",
            by(r#"{"alg":"PS256","kid":"rsa-1"}"#, &by_rsa(&RSA_PSS_SHA256)),
        ),
        (
            "PSS called RS256",
            by(r#"{"alg":"RS256","kid":"rsa-1"}"#, &by_rsa(&RSA_PSS_SHA256)),
        ),
        ("ES512", by(r#"{"alg":"ES512","kid":"ec-1"}"#, &by_ec)),
        ("ES256K", by(r#"{"alg":"ES256K","kid":"ec-1"}"#, &by_ec)),
        (
            "a published shared secret",
            raw(
                r#"{"alg":"HS256","kid":"oct-1"}"#,
                &claims,
                by_secret(HMAC_SHA256, b"a shared secret, published"),
            ),
        ),
        (
            "HS384 by the public key",
            by(&hs("HS384"), &by_secret(HMAC_SHA384, rsa)),
        ),
        (
            "HS512 by the public key",
            by(&hs("HS512"), &by_secret(HMAC_SHA512, rsa)),
        ),
        (
            "HS256 called RS256",
            by(
                r#"{"alg":"RS256","kid":"rsa-1"}"#,
                &by_secret(HMAC_SHA256, rsa),
            ),
        ),
    ];
    for (name, secret) in [
        ("HS256 by the public key's DER", rsa),
        ("HS256 by its PEM", pem.as_bytes()),
        ("HS256 by its trimmed PEM", pem.trim_end().as_bytes()),
        ("HS256 by its JWK", jwk.as_bytes()),
        ("HS256 by its modulus", &rsa[9..265]),
        ("HS256 by a known word", b"secret"),
        ("HS256 by a NUL", b"\0"),
    ] {
        all.push((name, by(&hs("HS256"), &by_secret(HMAC_SHA256, secret))));
    }
    all
}

/// A key that the token names or brings along.
fn key_names(good: &Value) -> Vec<Attack> {
    let claims = good.to_string();
    let evil = |header: String| raw(&header, &claims, by_evil_ed);
    let kid = |kid: Value| evil(json!({"alg": "EdDSA", "kid": kid}).to_string());
    let own = |kid: Value| {
        raw(
            &json!({"alg": "EdDSA", "kid": kid}).to_string(),
            &claims,
            by_ed,
        )
    };
    let (ed, ec) = (
        ed_jwk(&keys().evil_ed, "ed-1"),
        ec_jwk(&keys().evil_ec, "ec-1"),
    );
    vec![
        ("another's signature", evil(HEADER.to_owned())),
        ("another's without a name", evil(r#"{"alg":"EdDSA"}"#.to_owned())),
        ("an unknown name", kid(json!("ed-2"))),
        ("a path", kid(json!("../../../../../dev/null"))),
        ("SQL", kid(json!("' UNION SELECT 'x'; --"))),
        ("a command", kid(json!("ed-1|/bin/true"))),
        ("an address", kid(json!("http://169.254.169.254/latest/keys"))),
        ("an empty name", own(json!(""))),
        ("a number as a name", own(json!(1))),
        ("null as a name", own(json!(null))),
        ("a list as a name", own(json!(["ed-1"]))),
        ("other case in a name", own(json!("ED-1"))),
        ("a NUL in a name", own(json!("ed-1\0"))),
        ("a space in a name", own(json!("ed-1 "))),
        ("a long name", own(json!("k".repeat(300)))),
        ("two names", raw(r#"{"alg":"EdDSA","kid":"ed-1","kid":"x"}"#, &claims, by_ed)),
        ("jwk with the known name", evil(json!({"alg": "EdDSA", "kid": "ed-1", "jwk": ed}).to_string())),
        ("jwk alone", evil(json!({"alg": "EdDSA", "jwk": ed}).to_string())),
        ("jwk of another kind", raw(&json!({"alg": "ES256", "kid": "ed-1", "jwk": ec}).to_string(), &claims, by_evil_ec)),
        ("jku", evil(json!({"alg": "EdDSA", "kid": "x", "jku": "https://evil.example/keys"}).to_string())),
        ("jku with the known name", evil(json!({"alg": "EdDSA", "kid": "ed-1", "jku": "https://login.example@evil.example/keys"}).to_string())),
        ("x5u", evil(json!({"alg": "EdDSA", "kid": "x", "x5u": "https://evil.example/cert"}).to_string())),
        ("x5c", evil(json!({"alg": "EdDSA", "kid": "ed-1", "x5c": ["MIIB"]}).to_string())),
        ("the private key of the set's own secret", kid(json!("oct-1"))),
    ]
}

/// What is not understood, wrapped or of another kind.
fn headers(good: &Value) -> Vec<Attack> {
    let text = good.to_string();
    let signed = |header: &str| raw(header, &text, by_ed);
    let inner = token(good);
    let typ = |typ: Value| signed(&json!({"alg": "EdDSA", "kid": "ed-1", "typ": typ}).to_string());
    vec![
        (
            "crit",
            signed(r#"{"alg":"EdDSA","kid":"ed-1","crit":["exp"],"exp":1}"#),
        ),
        (
            "an empty crit",
            signed(r#"{"alg":"EdDSA","kid":"ed-1","crit":[]}"#),
        ),
        (
            "crit null",
            signed(r#"{"alg":"EdDSA","kid":"ed-1","crit":null}"#),
        ),
        (
            "b64 false",
            signed(r#"{"alg":"EdDSA","kid":"ed-1","b64":false,"crit":["b64"]}"#),
        ),
        (
            "b64 without crit",
            signed(r#"{"alg":"EdDSA","kid":"ed-1","b64":false}"#),
        ),
        ("zip", signed(r#"{"alg":"EdDSA","kid":"ed-1","zip":"DEF"}"#)),
        (
            "enc",
            signed(r#"{"alg":"EdDSA","kid":"ed-1","enc":"A256GCM"}"#),
        ),
        ("cty", signed(r#"{"alg":"EdDSA","kid":"ed-1","cty":"JWT"}"#)),
        ("nested", raw(HEADER, &inner, by_ed)),
        (
            "nested as text",
            raw(HEADER, &json!(inner).to_string(), by_ed),
        ),
        (
            "encrypted",
            format!("{}.a.b.c.d", b64(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#)),
        ),
        ("dpop+jwt", typ(json!("dpop+jwt"))),
        ("logout+jwt", typ(json!("logout+jwt"))),
        (
            "application/secevent+jwt",
            typ(json!("application/secevent+jwt")),
        ),
        ("a proof of possession", typ(json!("oauth-authz-req+jwt"))),
        ("an empty type", typ(json!(""))),
        ("a number as a type", typ(json!(1))),
        ("a list of types", typ(json!(["JWT"]))),
        ("no object", signed(r#""EdDSA""#)),
        ("a header twice", signed(&[HEADER, HEADER].concat())),
        ("data after the header", signed(&[HEADER, " x"].concat())),
        ("a byte order mark", signed(&["\u{feff}", HEADER].concat())),
        ("an empty header", signed("")),
    ]
}

/// The outer form.
#[expect(clippy::too_many_lines, reason = "a table")]
fn forms(good: &Value) -> Vec<Attack> {
    let whole = token(good);
    let (head, rest) = whole.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let other = token(&with(good.clone(), "sub", json!("mallory")));
    let (other_head, other_rest) = other.split_once('.').unwrap();
    let (other_body, _) = other_rest.split_once('.').unwrap();
    let last = signature.chars().last().unwrap();
    // 64 bytes leave four bits over, which must be zero.
    let alias = if last == 'A' {
        'B'
    } else {
        char::from(last as u8 + 1)
    };
    let ec = |signature: Vec<u8>| {
        let header = r#"{"alg":"ES256","kid":"ec-1"}"#;
        raw(header, &good.to_string(), move |_| signature.clone())
    };
    vec![
        (
            "another's claims",
            format!("{head}.{other_body}.{signature}"),
        ),
        (
            "another header",
            format!(
                "{}.{body}.{signature}",
                b64(r#"{"alg":"EdDSA","kid":"ed-1"}"#)
            ),
        ),
        ("claims twice", format!("{head}.{body}{body}.{signature}")),
        (
            "a cut signature",
            format!("{head}.{body}.{}", &signature[..40]),
        ),
        (
            "a longer signature",
            format!("{head}.{body}.{signature}AAAA"),
        ),
        (
            "an alias of the signature",
            format!("{head}.{body}.{}{alias}", &signature[..signature.len() - 1]),
        ),
        ("padding", format!("{head}.{body}.{signature}==")),
        ("padding inside", format!("{head}=.{body}.{signature}")),
        ("a space inside", format!("{head}. {body}.{signature}")),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{whole}.{signature}")),
        ("a dot behind", format!("{whole}.")),
        ("a dot before", format!(".{whole}")),
        ("dots alone", "..".to_owned()),
        ("ten thousand parts", ".".repeat(10_000)),
        ("nothing signed", format!("..{signature}")),
        ("an empty body", format!("{head}..{signature}")),
        (
            "wide dots",
            format!("{head}\u{ff0e}{body}\u{ff0e}{signature}"),
        ),
        ("percent codes", format!("{head}%2E{body}%2E{signature}")),
        ("the scheme twice", format!("Bearer {whole}")),
        ("quotes", format!("\"{whole}\"")),
        ("two tokens", format!("{whole},{other}")),
        (
            "two heads",
            format!("{head}{other_head}.{body}.{signature}"),
        ),
        (
            "too long",
            format!("{head}.{}.{signature}", "A".repeat(17_000)),
        ),
        (
            "a signature of zeros",
            raw(HEADER, &good.to_string(), |_| vec![0; 64]),
        ),
        ("ECDSA of zeros", ec(vec![0; 64])),
        ("ECDSA of the order", ec([0xff; 64].to_vec())),
        ("ECDSA as DER", ec(vec![0x30, 6, 2, 1, 1, 2, 1, 1])),
        (
            "RSA of one",
            raw(
                r#"{"alg":"RS256","kid":"rsa-1"}"#,
                &good.to_string(),
                |_| {
                    let mut one = vec![0; 256];
                    one[255] = 1;
                    one
                },
            ),
        ),
        ("bytes that are no text", {
            let claims = [good.to_string().as_bytes(), b"\xff"].concat();
            let signed = format!("{head}.{}", b64(claims));
            let signature = b64(by_ed(signed.as_bytes()));
            format!("{signed}.{signature}")
        }),
    ]
}

/// What is claimed, signed by the issuer itself.
#[expect(clippy::too_many_lines, reason = "a table")]
fn claimed(good: &Value) -> Vec<Attack> {
    let issuer = good["iss"].as_str().unwrap().to_owned();
    let text = good.to_string();
    let plain = |name: &'static str, claim: &str, value: Value| {
        (name, token(&with(good.clone(), claim, value)))
    };
    let without = |name: &'static str, claim: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        (name, token(&claims))
    };
    let spliced = |more: &str| {
        raw(
            HEADER,
            &format!("{},{more}}}", &text[..text.len() - 1]),
            by_ed,
        )
    };
    let upper = issuer.replace("http", "HTTP");
    vec![
        plain("over", "exp", json!(now() - 61)),
        without("without an end", "exp"),
        plain("an end as text", "exp", json!((now() + 600).to_string())),
        plain("an end that is huge", "exp", json!(u64::MAX)),
        plain("an end beyond numbers", "exp", json!(1e300)),
        plain("an end before time", "exp", json!(-1)),
        plain("no end", "exp", json!(null)),
        plain("an end in milliseconds", "exp", json!((now() + 600) * 1000)),
        plain("not yet", "nbf", json!(now() + 300)),
        plain("not yet, as text", "nbf", json!("0")),
        plain("from the future", "iat", json!(now() + 300)),
        plain("for another", "aud", json!("other")),
        plain("for others", "aud", json!(["a", "b"])),
        plain("for nobody", "aud", json!([])),
        plain("for us and a number", "aud", json!(["llmleaf", 7])),
        plain("for an object", "aud", json!({"llmleaf": true})),
        plain("for all", "aud", json!("*")),
        plain("for us in other case", "aud", json!("LLMLEAF")),
        plain("for us and a space", "aud", json!("llmleaf ")),
        plain("for us, unseen", "aud", json!("llm\u{200b}leaf")),
        plain(
            "for many",
            "aud",
            json!(
                vec!["x"; 70]
                    .into_iter()
                    .chain(["llmleaf"])
                    .collect::<Vec<_>>()
            ),
        ),
        without("without an audience", "aud"),
        plain("from another", "iss", json!("https://evil.example")),
        plain("from a longer name", "iss", json!(format!("{issuer}/"))),
        plain("from other case", "iss", json!(upper)),
        plain("from a list", "iss", json!([issuer])),
        plain(
            "from a lookalike",
            "iss",
            json!(issuer.replace('1', "\u{ff11}")),
        ),
        without("from nobody", "iss"),
        without("without a subject", "sub"),
        plain("an empty subject", "sub", json!("")),
        plain("a number as a subject", "sub", json!(1)),
        plain("a line break", "sub", json!("alice\nlevel=info admitted")),
        plain("a NUL", "sub", json!("alice\0")),
        plain("turned around", "sub", json!("\u{202e}ecila")),
        plain("bound to a key", "cnf", json!({"jkt": "abc"})),
        ("two issuers", spliced(&format!(r#""iss":"{issuer}""#))),
        ("two ends", spliced(&format!(r#""exp":{}"#, now() + 6000))),
        (
            "two subjects, one in codes",
            spliced(r#""\u0073ub":"mallory""#),
        ),
        (
            "a member twice, deep",
            spliced(r#""x":{"y":[{"a":1,"a":2}]}"#),
        ),
        (
            "data after the claims",
            raw(HEADER, &format!("{text}{{}}"), by_ed),
        ),
        ("a comment", raw(HEADER, &format!("{text}//"), by_ed)),
        ("a list of claims", raw(HEADER, &format!("[{text}]"), by_ed)),
        ("no JSON", raw(HEADER, "sub=alice", by_ed)),
        (
            "deep",
            raw(
                HEADER,
                &format!("{}{}", "[".repeat(4000), "]".repeat(4000)),
                by_ed,
            ),
        ),
        ("half a character", spliced(r#""x":"\ud800""#)),
    ]
}

#[test]
fn f8_no_token_that_is_none_opens_a_door() {
    let idp = Replay::start();
    idp.on(|_| Script::json(200, key_set()));
    let issuer = idp.url();
    let leaf = leaf_with(&format!(
        "[oauth]\nissuer = \"{issuer}\"\naudience = [\"llmleaf\"]\njwks_uri = \"{issuer}/keys\"\n\
         algorithms = [\"RS256\", \"ES256\", \"EdDSA\"]\nallowed_models = [\"*\"]\n"
    ));
    let begun = std::time::Instant::now();
    let good = claims(&issuer);
    // That the door opens at all, for each algorithm; and without a name where there is one key to choose.
    for (header, sign) in [
        (HEADER, &by_ed as &dyn Fn(&[u8]) -> Vec<u8>),
        (r#"{"alg":"EdDSA","typ":"JWT"}"#, &by_ed),
        (
            r#"{"alg":"Ed25519","kid":"ed-1","typ":"application/AT+JWT"}"#,
            &by_ed,
        ),
        (r#"{"alg":"ES256","kid":"ec-1"}"#, &by_ec),
        (
            r#"{"alg":"RS256","kid":"rsa-1","jku":"https://login.example/keys"}"#,
            &by_rsa(&RSA_PKCS1_SHA256),
        ),
    ] {
        let bearer = format!("Bearer {}", raw(header, &good.to_string(), sign));
        let response = ask(&leaf, "GET", "/v1/models", &[("authorization", &bearer)]);
        assert_eq!(response.status, 200, "{header}: {}", response.text());
    }
    let mut attacks = algorithms(&good);
    attacks.extend(key_names(&good));
    attacks.extend(headers(&good));
    attacks.extend(forms(&good));
    attacks.extend(claimed(&good));
    println!("{} tokens that are none, at each door", attacks.len());
    assert!(attacks.len() >= 150, "{}", attacks.len());
    let mut wrong = Vec::new();
    for (name, token) in &attacks {
        let bearer = format!("Bearer {token}");
        for (path, dialect) in DOORS {
            let response = ask(&leaf, "POST", path, &[("authorization", &bearer)]);
            let challenge = response.header("www-authenticate").unwrap_or_default();
            let code = challenge.contains("error=\"invalid_token\"") || challenge == "Bearer";
            let fault = match shape(*dialect, &response) {
                _ if response.status != 401 => Some(format!("{}", response.status)),
                _ if !code => Some(format!("challenge {challenge}")),
                shape => shape,
            };
            if let Some(fault) = fault {
                wrong.push(format!("{name}, {path}: {fault}: {}", response.text()));
            }
        }
        // Nor as a key of another form.
        let response = ask(&leaf, "GET", "/v1/models", &[("x-api-key", token)]);
        if response.status != 401 {
            wrong.push(format!("{name}, as x-api-key: {}", response.status));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    // Nothing was fetched but the keys, and no more often than a floor allows, whatever names were in those tokens.
    let fetched = idp.requests();
    assert!(fetched.iter().all(|request| request.path == "/keys"));
    let floors = usize::try_from(begun.elapsed().as_secs() / 30).unwrap();
    assert!(fetched.len() <= 2 + floors, "{}", fetched.len());
    let log = leaf.log().join("\n");
    let quoted = attacks.iter().find(|(_, token)| {
        let longest = token.split('.').max_by_key(|part| part.len());
        longest.is_some_and(|part| part.len() > 20 && log.contains(part))
    });
    assert!(quoted.is_none(), "the log quotes {quoted:?}");
}
