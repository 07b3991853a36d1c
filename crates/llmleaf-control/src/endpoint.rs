//! One endpoint of a controller: where it is, who we are to it, and how long it may take.

use crate::pull::{Answer, Trouble};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use llmleaf_transport::{Limits, Origin, OriginError, Pool, Response, TlsConfig};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// The number that a controller gives a snapshot.
pub const VERSION_HEADER: &str = "x-llmleaf-snapshot";
/// Which version of the wire is spoken.
pub const WIRE_HEADER: &str = "x-llmleaf-control";
/// The version that this speaks.
pub const WIRE: &str = "1";
/// Which node asks.
pub const NODE_HEADER: &str = "x-llmleaf-node";

/// What an endpoint is made from.
#[derive(Clone, Copy)]
pub struct EndpointSpec<'a> {
    /// Its address, called as it is.
    pub url: &'a str,
    /// The header that proves who we are, and its value.
    pub credential: Option<(&'a str, &'a str)>,
    /// Longest time for a call, connecting included.
    pub timeout: Duration,
    /// Whose certificates are trusted, and what proves who we are.
    pub tls: &'a TlsConfig,
    /// Stands for what `tls` was made from.
    pub tls_mark: [u8; 32],
    /// What the node is called.
    pub node: &'a str,
}

/// Why an endpoint cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Its address is none.
    #[error("{0}")]
    Url(#[from] OriginError),
    /// Its path, or a header's name or value, cannot be written.
    #[error("{0} cannot be sent")]
    Unwritable(&'static str),
}

/// An endpoint, ready to be called.
#[derive(Clone)]
pub struct Endpoint {
    origin: Arc<Origin>,
    path: String,
    /// Those of every request. What proves who we are is marked as sensitive, and prints as nothing.
    headers: HeaderMap,
    timeout: Duration,
    tls: TlsConfig,
    mark: [u8; 32],
}

impl Endpoint {
    /// Makes an endpoint ready.
    ///
    /// # Errors
    /// It cannot be called.
    pub fn new(spec: &EndpointSpec<'_>) -> Result<Self, EndpointError> {
        let own = [(WIRE_HEADER, WIRE), (NODE_HEADER, spec.node)];
        let proof = spec.credential;
        let (origin, path) = address(spec.url)?;
        Ok(Self {
            origin: Arc::new(origin),
            path,
            headers: headers(&own, proof.as_slice())?,
            timeout: spec.timeout,
            tls: spec.tls.clone(),
            mark: mark(spec),
        })
    }

    /// One that is no controller's: nothing says there which node calls. All of these headers are kept secret.
    ///
    /// # Errors
    /// It cannot be called.
    pub fn elsewhere(
        url: &str,
        secret: &[(&str, &str)],
        timeout: Duration,
        tls: &TlsConfig,
    ) -> Result<Self, EndpointError> {
        let (origin, path) = address(url)?;
        Ok(Self {
            origin: Arc::new(origin),
            path,
            headers: headers(&[], secret)?,
            timeout,
            tls: tls.clone(),
            mark: [0; 32],
        })
    }

    /// Stands for all that it was made from, secrets included.
    pub fn mark(&self) -> [u8; 32] {
        self.mark
    }

    /// Stands for its address alone.
    pub fn address(&self) -> [u8; 32] {
        let mut sum = Sha256::new();
        sum.update(self.origin.to_string());
        sum.update(&self.path);
        sum.finalize().into()
    }

    /// Its own connections.
    pub fn pool(&self) -> Pool {
        let limits = Limits {
            idle_per_origin: 1,
            ..Limits::default()
        };
        Pool::new(limits, self.tls.clone())
    }

    /// Longest time for a call, in milliseconds.
    pub fn timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks for what is there, unless it is still what the entity tag names.
    ///
    /// # Errors
    /// No answer, or not all of one in time. Redirects are answers like others: nobody follows them.
    pub async fn get(
        &self,
        pool: &Pool,
        etag: Option<&str>,
        limit: usize,
    ) -> Result<(Answer, Bytes), Trouble> {
        let mut request = Request::new(Bytes::new());
        *request.headers_mut() = self.headers.clone();
        if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
            request.headers_mut().insert(IF_NONE_MATCH, etag);
        }
        self.call(pool, request, limit).await
    }

    /// Sends a JSON body.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(
        &self,
        pool: &Pool,
        body: Bytes,
        limit: usize,
    ) -> Result<(Answer, Bytes), Trouble> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.headers_mut() = self.headers.clone();
        let kind = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        self.call(pool, request, limit).await
    }

    async fn call(
        &self,
        pool: &Pool,
        mut request: Request<Bytes>,
        limit: usize,
    ) -> Result<(Answer, Bytes), Trouble> {
        let uri = self.path.parse();
        *request.uri_mut() =
            uri.map_err(|_| Trouble::Transport("the path cannot be sent".into()))?;
        let whole = async {
            let told = |error: llmleaf_transport::TransportError| match error {
                llmleaf_transport::TransportError::BodyTooLarge { limit } => {
                    Trouble::TooLarge(limit)
                }
                error => Trouble::Transport(error.to_string()),
            };
            let response = pool
                .call(&self.origin, request, self.timeout)
                .await
                .map_err(told)?;
            let answer = answer(&response);
            if !(200..300).contains(&answer.status) {
                // What it says beside that is for nobody's eyes, and its connection is not worth reading it for.
                return Ok((answer, Bytes::new()));
            }
            let body = response.body.collect(limit).await.map_err(told)?;
            Ok((answer, body))
        };
        match tokio::time::timeout(self.timeout, whole).await {
            Ok(result) => result,
            Err(_) => Err(Trouble::Slow(self.timeout_ms())),
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({}{})", self.origin, self.path)
    }
}

/// Where a URL leads, and the path there, with its query.
fn address(url: &str) -> Result<(Origin, String), EndpointError> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    let slash = rest.find(['/', '?']).map_or(url.len(), |at| start + at);
    let (base, path) = url.split_at(slash);
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    if path.parse::<http::uri::PathAndQuery>().is_err() {
        return Err(EndpointError::Unwritable("the path"));
    }
    Ok((Origin::parse(base)?.0, path))
}

/// The headers of every request: who calls, what else is said, and what proves it.
fn headers(own: &[(&str, &str)], secret: &[(&str, &str)]) -> Result<HeaderMap, EndpointError> {
    let mut headers = HeaderMap::new();
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("llmleaf/", env!("CARGO_PKG_VERSION"))),
    );
    let all = own.iter().map(|header| (header, false));
    for ((name, value), is_secret) in all.chain(secret.iter().map(|header| (header, true))) {
        let what = match is_secret {
            true => "the credential",
            false => "the node's name",
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|_| EndpointError::Unwritable("a header's name"))?;
        let value = HeaderValue::from_str(value);
        let mut value = value.map_err(|_| EndpointError::Unwritable(what))?;
        value.set_sensitive(is_secret);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn mark(spec: &EndpointSpec<'_>) -> [u8; 32] {
    let (name, value) = spec.credential.unwrap_or_default();
    let mut sum = Sha256::new();
    for part in [spec.url, name, value, spec.node] {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.update(spec.tls_mark);
    sum.update(spec.timeout.as_millis().to_le_bytes());
    sum.finalize().into()
}

fn answer(response: &Response) -> Answer {
    let text = |name: HeaderName| {
        let value = response.headers.get(name)?.to_str().ok()?;
        Some(value.trim().to_owned())
    };
    Answer {
        status: response.status.as_u16(),
        etag: text(ETAG),
        version: text(HeaderName::from_static(VERSION_HEADER)),
        // A moment in the place of seconds is not asked for by this wire, and would depend on both clocks.
        retry_after: text(RETRY_AFTER)
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, secret: &str) -> Result<Endpoint, EndpointError> {
        let tls = TlsConfig::new().expect("trust");
        Endpoint::new(&EndpointSpec {
            url,
            credential: Some(("x-canary", secret)),
            timeout: Duration::from_secs(2),
            tls: &tls,
            tls_mark: [0; 32],
            node: "n1",
        })
    }

    #[test]
    fn an_address_is_called_as_it_is_written() {
        for (url, path) in [
            ("http://127.0.0.1:1/llmleaf/keys", "/llmleaf/keys"),
            ("http://127.0.0.1:1/keys/?a=b", "/keys/?a=b"),
            ("https://controller.example", "/"),
            ("https://controller.example?a", "/?a"),
        ] {
            assert_eq!(endpoint(url, "s").expect(url).path, path);
        }
        for url in [
            "ftp://a/b",
            "http://",
            "/keys",
            "http://user:word@host/keys",
        ] {
            assert!(endpoint(url, "s").is_err(), "{url}");
        }
    }

    #[test]
    fn n2_nothing_prints_what_proves_who_we_are() {
        let made = endpoint("http://127.0.0.1:1/a", "CANARY").expect("an endpoint");
        assert!(!format!("{made:?} {:?}", made.headers).contains("CANARY"));
        let refused = endpoint("http://127.0.0.1:1/a", "CANARY\n").expect_err("a line break");
        assert!(!format!("{refused} {refused:?}").contains("CANARY"));
    }

    #[test]
    fn another_secret_makes_another_endpoint() {
        let mark = |secret| {
            endpoint("http://127.0.0.1:1/a", secret)
                .expect("one")
                .mark()
        };
        assert_eq!(mark("a"), mark("a"));
        assert_ne!(mark("a"), mark("b"));
    }
}
