//! How a token is asked for.

use crate::answer::{self, Fresh};
use crate::assertion::Signer;
use crate::hidden::Hidden;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request};
use llmleaf_model::{Failure, FailureKind, percent};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Where tokens come from, and what proves that we may have one.
#[derive(Debug)]
pub struct Source {
    url: String,
    grant: Grant,
}

/// What proves that we may have one.
#[derive(Debug)]
pub enum Grant {
    /// A private key (RFC 7523).
    Assertion {
        /// Who asks.
        issuer: String,
        /// For what.
        scope: String,
        /// What it is signed with.
        signer: Signer,
    },
    /// A token of another kind, which a person's consent left (RFC 6749, section 6).
    Refresh {
        /// The application that the person consented to.
        client_id: String,
        /// Its secret.
        client_secret: Hidden,
        /// What was left.
        refresh_token: Hidden,
    },
    /// An application's own secret (RFC 6749, section 4.4).
    Client {
        /// Who asks.
        client_id: String,
        /// Its secret.
        client_secret: Hidden,
        /// For what.
        scope: String,
    },
    /// Where we run: nobody else reaches the one who answers.
    Ambient {
        /// Without it nobody answers, so that no browser can be made to ask.
        header: (HeaderName, HeaderValue),
    },
}

impl Source {
    /// A source at that address.
    pub fn new(url: String, grant: Grant) -> Self {
        Self { url, grant }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is asked on this machine's own network, to which no proxy leads.
    pub fn is_ambient(&self) -> bool {
        matches!(self.grant, Grant::Ambient { .. })
    }

    /// Stands for everything that it is made of, so that a reload knows it again.
    pub fn mark(&self) -> [u8; 32] {
        let mut mark = Sha256::new();
        let mut add = |part: &[u8]| {
            mark.update((part.len() as u64).to_le_bytes());
            mark.update(part);
        };
        add(self.url.as_bytes());
        match &self.grant {
            Grant::Assertion {
                issuer,
                scope,
                signer,
            } => {
                add(b"assertion");
                add(issuer.as_bytes());
                add(scope.as_bytes());
                add(&signer.mark());
            }
            Grant::Refresh {
                client_id,
                client_secret,
                refresh_token,
            } => {
                add(b"refresh");
                add(client_id.as_bytes());
                add(client_secret.expose().as_bytes());
                add(refresh_token.expose().as_bytes());
            }
            Grant::Client {
                client_id,
                client_secret,
                scope,
            } => {
                add(b"client");
                add(client_id.as_bytes());
                add(client_secret.expose().as_bytes());
                add(scope.as_bytes());
            }
            Grant::Ambient { .. } => add(b"ambient"),
        }
        mark.finalize().into()
    }

    /// The request for a token; `path` is the address' path with its query.
    ///
    /// # Errors
    /// It cannot be made, which is this gateway's fault.
    pub fn request(&self, path: &str, unix_now: u64) -> Result<Request<Bytes>, Failure> {
        let impossible = || Failure::gateway(FailureKind::Internal, "no token can be asked for");
        if let Grant::Ambient { header } = &self.grant {
            let (name, value) = header;
            let request = Request::builder().method(Method::GET).uri(path);
            let request = request.header(name, value);
            let request = request.header(ACCEPT, "application/json");
            return request.body(Bytes::new()).map_err(|_| impossible());
        }
        let body = self.form(unix_now).ok_or_else(impossible)?;
        Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into())
            .map_err(|_| impossible())
    }

    fn form(&self, unix_now: u64) -> Option<String> {
        Some(match &self.grant {
            Grant::Assertion {
                issuer,
                scope,
                signer,
            } => {
                let assertion = signer.sign(issuer, scope, &self.url, unix_now)?;
                fields(&[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", &assertion),
                ])
            }
            Grant::Refresh {
                client_id,
                client_secret,
                refresh_token,
            } => fields(&[
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ]),
            Grant::Client {
                client_id,
                client_secret,
                scope,
            } => fields(&[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("scope", scope),
            ]),
            Grant::Ambient { .. } => return None,
        })
    }

    /// Reads the answer to [`Self::request`]. `wait` is what it says of when to come back.
    ///
    /// # Errors
    /// It holds no token; the failure says whose fault that is. What it quotes of the answer holds none of our secrets.
    pub fn answer(
        &self,
        status: u16,
        wait: Option<Duration>,
        body: &[u8],
    ) -> Result<Fresh, Failure> {
        let secrets: Vec<&str> = self.secrets().collect();
        answer::read(status, wait, body, &secrets)
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let of = match &self.grant {
            Grant::Refresh {
                client_secret,
                refresh_token,
                ..
            } => [Some(client_secret), Some(refresh_token)],
            Grant::Client { client_secret, .. } => [Some(client_secret), None],
            Grant::Assertion { .. } | Grant::Ambient { .. } => [None, None],
        };
        let all = of.into_iter().flatten().map(Hidden::expose);
        all.filter(|secret| !secret.is_empty())
    }
}

/// Fields as a form (WHATWG URL, section 5.2).
fn fields(all: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in all {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.* ".contains(&byte);
        out.push_str(&percent::encode_but(value, plain).replace(' ', "+"));
    }
    out
}

#[cfg(test)]
mod tests;
