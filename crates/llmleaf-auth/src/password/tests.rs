use super::*;

/// `s3cret`, made by Apache's `htpasswd`.
const BCRYPT: &str = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO";
/// `s3cret`, made by `openssl passwd -6 -salt saltsalt`.
const SHA512: &str = "$6$saltsalt$As4wrv0kZlfch1du9WeH7qhskyLriQWySXrZzynnvi46nFnNxjdpl6ksRegrrKexvhIa/Iny8S8uF3fVWTMuC1";
/// `s3cret`, made by `openssl passwd -5 -salt saltsalt`.
const SHA256: &str = "$5$saltsalt$i1q2ZQzc.tl/BQ6CHiENAcVDvEY6nJ1OWlWXKh94b1.";
/// `s3cret`, made by `crypt(3)` of glibc, as the next one.
const SHA256_ROUNDS: &str =
    "$5$rounds=1400$anotherlongsalts$tNaRfLGMb.6s3f8.nLeLTkFjqrLXTzCkfokbcd7Lf07";
const SHA512_ROUNDS: &str = "$6$rounds=1000$x$RPks8o3W8GWBXUOHmHezoef5GAkfjfGppMRz4ytTVKpwjpviqXPv1uJ2kC.1gFlduJaSBCVpjMgZTKSPzPIlN/";
/// `password`, from the test vectors of the reference implementation (phc-winner-argon2, `src/test.c`), as the next two.
const ARGON2I_OLD: &str =
    "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY";
const ARGON2ID: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
const ARGON2ID_LANES: &str =
    "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";

/// A cheap argon2 hash, with parameters of the test's choice.
fn argon2(algorithm: argon2::Algorithm, password: &str, output: usize) -> String {
    use argon2::PasswordHasher;
    let params = argon2::Params::new(32, 1, 1, Some(output)).unwrap();
    argon2::Argon2::new(algorithm, argon2::Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), b"some salt")
        .unwrap()
        .to_string()
}

fn parse(text: &str) -> PasswordHash {
    PasswordHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_kind_accepts_its_password_only() {
    for (text, password) in [
        (BCRYPT, "s3cret"),
        (SHA512, "s3cret"),
        (SHA256, "s3cret"),
        (SHA256_ROUNDS, "s3cret"),
        (SHA512_ROUNDS, "s3cret"),
        (ARGON2ID, "password"),
        (ARGON2I_OLD, "password"),
        (ARGON2ID_LANES, "password"),
        (&argon2(argon2::Algorithm::Argon2id, "s3cret", 32), "s3cret"),
        (&argon2(argon2::Algorithm::Argon2i, "pä55", 16), "pä55"),
    ] {
        let hash = parse(text);
        assert!(hash.verify(password.as_bytes()), "{text}");
        for wrong in ["", "s3cre", "s3cret ", "S3cret", "s3cret\0", "s3cret\n"] {
            assert!(!hash.verify(wrong.as_bytes()), "{text} {wrong:?}");
        }
    }
}

#[test]
fn bcrypt_letters_mean_the_same() {
    for letter in ["a", "b", "y"] {
        assert!(
            parse(&BCRYPT.replacen('y', letter, 1)).verify(b"s3cret"),
            "{letter}"
        );
    }
}

#[test]
fn bcrypt_refuses_what_it_would_cut() {
    for length in [71, 72, 73, 100] {
        let password = "p".repeat(length);
        // The library cuts at 72, so its hash of the longer ones is the hash of the first 72 bytes.
        let hash = parse(&bcrypt::hash(&password, 4).unwrap());
        assert_eq!(
            hash.verify(password.as_bytes()),
            length <= MAX_BCRYPT_PASSWORD_BYTES,
            "{length}"
        );
    }
    let hash = parse(&bcrypt::hash("ab", 4).unwrap());
    assert!(!hash.verify(b"ab\0"));
    assert!(!hash.verify(b"ab\0cd"));
}

#[test]
fn costs_have_ceilings() {
    let argon = |m: u32, t: u32, p: u32| {
        format!("$argon2id$v=19$m={m},t={t},p={p}$c29tZSBzYWx0$AAAAAAAAAAAAAAAAAAAAAA")
    };
    let bcrypt = |cost: &str| BCRYPT.replacen("04", cost, 1);
    let sha = |rounds: u32| SHA512.replacen("$6$", &format!("$6$rounds={rounds}$"), 1);
    for (text, affordable) in [
        (
            argon(MAX_ARGON2_MEMORY_KIB, MAX_ARGON2_PASSES, MAX_ARGON2_LANES),
            true,
        ),
        (argon(MAX_ARGON2_MEMORY_KIB + 1, 1, 1), false),
        (argon(4 << 20, 1, 1), false),
        (argon(u32::MAX, u32::MAX, 1), false),
        (argon(1024, MAX_ARGON2_PASSES + 1, 1), false),
        (argon(1024, 1, MAX_ARGON2_LANES + 1), false),
        (bcrypt("12"), true),
        (bcrypt("13"), false),
        (bcrypt("31"), false),
        (sha(MAX_SHA_CRYPT_ROUNDS), true),
        (sha(MAX_SHA_CRYPT_ROUNDS + 1), false),
        (sha(999_999_999), false),
    ] {
        let outcome = PasswordHash::parse(&text);
        if affordable {
            assert!(outcome.is_ok(), "{text}: {outcome:?}");
        } else {
            assert!(
                matches!(outcome, Err(HashError::TooCostly { .. })),
                "{text}: {outcome:?}"
            );
        }
    }
}

#[test]
fn what_is_not_a_good_hash_is_refused_without_being_repeated() {
    let long = "$6$".to_owned() + &"x".repeat(MAX_HASH_BYTES);
    let sha_bad_rounds = SHA512.replacen("$6$", "$6$rounds=10$", 1);
    let sha_zero_rounds = SHA512.replacen("$6$", "$6$rounds=05000$", 1);
    let sha_long_salt = SHA512.replacen("saltsalt", "saltsaltsaltsaltx", 1);
    let bcrypt_cost = BCRYPT.replacen("04", "03", 1);
    let bcrypt_sign = BCRYPT.replacen("04", "+4", 1);
    let short_output = argon2(argon2::Algorithm::Argon2id, "s3cret", 12);
    for text in [
        "",
        "  ",
        "hunter2-plain",
        "$",
        "$$",
        "$1$saltsalt$AbCdEfGhIjKlMnOpQrStU0",
        "$apr1$saltsalt$AbCdEfGhIjKlMnOpQrStU0",
        "$2x$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO",
        "$argon2d$v=19$m=32,t=1,p=1$c29tZSBzYWx0$AAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=32,t=1,p=1$c29tZSBzYWx0",
        "$argon2id$v=19$m=32,t=1,p=16$c29tZSBzYWx0$AAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=7$m=32,t=1,p=1$c29tZSBzYWx0$AAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=32,t=1,p=1,keyid=AAAA$c29tZSBzYWx0$AAAAAAAAAAAAAAAAAAAAAA",
        "$y$j9T$AbCdEf$AbCdEfGhIjKlMnOp",
        "$6$saltsalt",
        "$6$$As4wrv0kZlfch1du9WeH7qhskyLriQWySXrZzynnvi46nFnNxjdpl6ksRegrrKexvhIa/Iny8S8uF3fVWTMuC1",
        &SHA512[..SHA512.len() - 1],
        &SHA256.replacen("$5$", "$6$", 1),
        &BCRYPT[..59],
        &sha_bad_rounds,
        &sha_zero_rounds,
        &sha_long_salt,
        &bcrypt_cost,
        &bcrypt_sign,
        &short_output,
        &long,
    ] {
        let error = PasswordHash::parse(text).expect_err(text);
        let shown = format!("{error} {error:?}");
        for piece in text.split('$').filter(|piece| piece.len() > 8) {
            assert!(!shown.contains(piece), "{shown} repeats {piece}");
        }
    }
    let md5 = PasswordHash::parse("$1$saltsalt$AbCdEfGhIjKlMnOpQrStU0").unwrap_err();
    assert_eq!(
        md5.to_string(),
        "MD5-crypt ($1$) is not supported: it can be broken; make a new hash"
    );
}

#[test]
fn a_hash_of_ours_is_accepted_by_us() {
    let text = hash_password("chosen by hand").unwrap();
    assert!(
        text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{text}"
    );
    let hash = parse(&text);
    assert!(hash.verify(b"chosen by hand"));
    assert!(!hash.verify(b"chosen by hanD"));
    assert!(
        !hash.same_as(&parse(&hash_password("chosen by hand").unwrap())),
        "salted"
    );
    assert!(hash.same_as(&parse(&text)));
}

#[test]
fn passwords_that_could_not_be_presented_are_not_hashed() {
    for password in [
        "",
        "line\n",
        "nul\0",
        "llk_a_key",
        &"p".repeat(MAX_PASSWORD_BYTES + 1),
    ] {
        assert!(
            matches!(hash_password(password), Err(MintError::Password(_))),
            "{password:?}"
        );
    }
}

#[test]
fn random_keys_verify_by_their_whole_text() {
    let key = crate::NewKey::generate("team").unwrap();
    let hash = parse(&key.stored_hash);
    assert!(hash.verify(key.credential.expose().as_bytes()));
    assert!(!hash.verify(b"llk_team_"));
    assert!(!hash.verify(&[0xff]));
    assert_eq!(format!("{hash:?}"), "PasswordHash(random key)");
}
