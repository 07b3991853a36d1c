//! Secrets that stand for a key for a short while and for little: what a page in a browser can be given in its place.
//!
//! A pass names the key, the models, what a session begins with, and its own end, under a proof that only this gateway can make
//! ([`IdSeal`]). No state is kept: any node with the same secret opens it. It stands for its key only as long as that
//! key exists with the same hash; what it may do beyond that is less than what its key may, since it names its models.

use std::fmt;

use crate::authenticator::Authenticator;
use crate::error::AuthError;
use crate::grant::{Holder, Principal};
use crate::sealed_id::{IdSeal, TAG};
use crate::secret::Secret;

/// What passes begin with, as the secrets of the reference do.
pub const PREFIX: &str = "ek_";
/// Longest text that a session may begin with, in bytes. All of it stands in the pass, and so in a header.
pub const MAX_SESSION_BYTES: usize = 12 * 1024;
/// Longest pass that is looked at.
const LONGEST: usize = 20 * 1024;
/// The form of a payload.
const FORM: u8 = 1;
/// Whose the seals are: a pass says itself whom it is for.
const OWNER: &str = "";
const PURPOSE: &str = "realtime";

/// Makes and opens passes.
pub struct Passes(IdSeal);

/// A pass that was opened.
#[derive(Debug)]
pub struct Pass {
    /// For whom it stands.
    pub principal: Principal,
    /// The models that it names; the first is the session's.
    pub models: Vec<String>,
    /// What the session begins with.
    pub session: String,
}

impl Passes {
    /// With the secret that all nodes share; without one, passes are good for this process only.
    pub fn new(secret: Option<&Secret>, authenticator: &Authenticator) -> Self {
        match secret {
            Some(secret) => Self(IdSeal::new(secret, PURPOSE)),
            None => Self(IdSeal::new(
                &authenticator.secret_of_process(PURPOSE),
                PURPOSE,
            )),
        }
    }

    /// A pass that is good until a unix time; `None` where it would be too long.
    pub fn issue(
        &self,
        principal: &Principal,
        models: &[&str],
        session: &str,
        until: u64,
    ) -> Option<String> {
        if session.len() > MAX_SESSION_BYTES {
            return None;
        }
        // Of a token nothing is known here that could vouch for it later.
        let Holder::Key { record, .. } = &principal.holder else {
            return None;
        };
        let mut payload = vec![FORM];
        payload.extend_from_slice(&until.to_le_bytes());
        payload.extend_from_slice(&self.0.tag("hash", record.hash.mark()));
        let mut add = |text: &str| {
            let length = u16::try_from(text.len()).ok()?;
            payload.extend_from_slice(&length.to_le_bytes());
            payload.extend_from_slice(text.as_bytes());
            Some(())
        };
        add(&record.id)?;
        add(&models.join("\n"))?;
        add(session)?;
        Some([PREFIX, &self.0.seal(OWNER, &payload)].concat())
    }

    /// Opens a pass, at a unix time.
    ///
    /// # Errors
    ///
    /// [`AuthError::Invalid`]: it is none, it has ended, or its key is not what it was.
    pub fn open(
        &self,
        authenticator: &Authenticator,
        token: &str,
        now: u64,
    ) -> Result<Pass, AuthError> {
        self.read(authenticator, token, now)
            .ok_or(AuthError::Invalid)
    }

    fn read(&self, authenticator: &Authenticator, token: &str, now: u64) -> Option<Pass> {
        let sealed = token
            .strip_prefix(PREFIX)
            .filter(|sealed| sealed.len() <= LONGEST)?;
        let payload = self.0.open_long(OWNER, sealed)?;
        let rest = payload.strip_prefix(&[FORM])?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        if u64::from_le_bytes(*until) <= now {
            return None;
        }
        let (mark, mut rest) = rest.split_first_chunk::<TAG>()?;
        let mut next = || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (text, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            rest = after;
            String::from_utf8(text.to_vec()).ok()
        };
        let (id, models, session) = (next()?, next()?, next()?);
        let is_mark = |found: &[u8; 32]| self.0.tag("hash", found) == *mark;
        Some(Pass {
            principal: authenticator.vouched(&id, is_mark)?,
            models: models.split('\n').map(str::to_owned).collect(),
            session,
        })
    }
}

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passes(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Check, Credential, CredentialHeaders, CredentialSource, KeyEntry, PasswordHash, Roster,
    };

    const HASH: &str = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO";
    const OTHER: &str = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE697.T7m9Eg12HekWFJO";

    fn roster(hash: &str) -> Roster {
        let entry = KeyEntry {
            id: "me".to_owned(),
            name: None,
            hash: PasswordHash::parse(hash).expect("a hash"),
            allowed_models: None,
        };
        Roster::new(vec![entry]).expect("a roster")
    }

    fn proven(authenticator: &Authenticator) -> Principal {
        let headers = CredentialHeaders::new().with(CredentialSource::XApiKey, b"me:s3cret");
        let credential = Credential::from_headers(&headers).expect("a credential");
        match authenticator.check(&credential) {
            Check::NeedsWork(work) => authenticator.settle(work.run()).expect("it is good"),
            Check::Granted(principal) => principal,
            Check::Denied(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn a_pass_is_good_for_a_while_and_for_its_key_only() {
        let authenticator = Authenticator::with_key(&[7; 32], roster(HASH));
        let secret = Secret::new("shared by all nodes".to_owned());
        for shared in [None, Some(&secret)] {
            let passes = Passes::new(shared, &authenticator);
            let principal = proven(&authenticator);
            let pass = passes
                .issue(&principal, &["m", "w"], "{}", 100)
                .expect("a pass");
            assert!(pass.starts_with("ek_") && !pass.contains("s3cret"));
            let opened = passes.open(&authenticator, &pass, 99).expect("it is good");
            assert_eq!(&**opened.principal.key_id(), "me");
            assert_eq!(opened.models, ["m", "w"]);
            assert_eq!(opened.session, "{}");
            let refused = |passes: &Passes, pass: &str, now| {
                passes
                    .open(&authenticator, pass, now)
                    .expect_err("it is not")
                    == AuthError::Invalid
            };
            assert!(refused(&passes, &pass, 100));
            assert!(refused(&passes, pass.trim_start_matches("ek_"), 1));
            assert!(refused(&passes, "ek_", 1) && refused(&passes, "ek_AAAA", 1));
            for at in (3..pass.len()).step_by(7) {
                let mut bytes = pass.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(bytes).expect("ASCII");
                assert!(refused(&passes, &changed, 1), "{at}");
            }
            let other = Passes::new(Some(&Secret::new("another".to_owned())), &authenticator);
            assert!(refused(&other, &pass, 1));
            // Another process of the same secret opens it; one without does not.
            let elsewhere = Authenticator::with_key(&[8; 32], roster(HASH));
            let there = Passes::new(shared, &elsewhere).open(&elsewhere, &pass, 1);
            assert_eq!(there.is_ok(), shared.is_some());
            // Its key has another hash, and then is gone.
            let without = Authenticator::with_key(&[7; 32], roster(OTHER));
            assert!(passes.open(&without, &pass, 1).is_err());
            let without = Authenticator::with_key(&[7; 32], Roster::default());
            assert!(passes.open(&without, &pass, 1).is_err());
        }
        let passes = Passes::new(None, &authenticator);
        let principal = proven(&authenticator);
        let long = "x".repeat(MAX_SESSION_BYTES + 1);
        assert_eq!(passes.issue(&principal, &["m"], &long, 9), None);
        let longest = passes
            .issue(&principal, &["m"], &long[1..], 9)
            .expect("a pass");
        assert!(passes.open(&authenticator, &longest, 1).is_ok());
    }
}
