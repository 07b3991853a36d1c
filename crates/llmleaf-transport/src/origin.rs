//! Where an upstream is: scheme, host and port, parsed once from its endpoint URL.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::Arc;

use http::Uri;
use http::header::HeaderValue;
use http::uri::Scheme;
use rustls::pki_types::ServerName;

/// The server part of an endpoint URL, with all that a connection needs of it made ready.
#[derive(Debug, Clone)]
pub struct Origin {
    host: String,
    port: u16,
    ip: Option<IpAddr>,
    /// Set for `https`: the name the certificate must be for.
    server_name: Option<ServerName<'static>>,
    host_header: HeaderValue,
    /// `scheme://host:port`, the pool's key.
    key: Key,
}

/// Why an endpoint URL was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("not a URL: {0}")]
    Invalid(String),
    #[error("the URL must begin with http:// or https://")]
    Scheme,
    #[error("the URL names no host")]
    Host,
    #[error("the URL must not carry a user name or password")]
    UserInfo,
    #[error("the URL must not carry a query or fragment")]
    Query,
}

impl Origin {
    /// Parses an endpoint URL into the origin and the base path, which has no trailing slash and
    /// is empty for the root.
    ///
    /// # Errors
    ///
    /// Whatever could not be meant: another scheme, no host, credentials, a query, a fragment.
    pub fn parse(url: &str) -> Result<(Origin, String), OriginError> {
        if url.contains('#') {
            return Err(OriginError::Query);
        }
        let uri = Uri::from_str(url.trim()).map_err(|e| OriginError::Invalid(e.to_string()))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(OriginError::Scheme),
        };
        let authority = uri.authority().ok_or(OriginError::Host)?;
        if authority.as_str().contains('@') {
            return Err(OriginError::UserInfo);
        }
        if uri.query().is_some() {
            return Err(OriginError::Query);
        }
        let port = port_of(&uri, tls)?;
        let origin = Origin::new(tls, authority.host(), port)?;
        Ok((origin, uri.path().trim_end_matches('/').to_owned()))
    }

    pub(crate) fn new(tls: bool, written_host: &str, port: u16) -> Result<Origin, OriginError> {
        let written_host = written_host.to_ascii_lowercase();
        let host = written_host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&written_host);
        if host.is_empty() {
            return Err(OriginError::Host);
        }
        let invalid = |_| OriginError::Invalid(format!("{host} is not a host name"));
        let server_name = if tls {
            Some(ServerName::try_from(host.to_owned()).map_err(invalid)?)
        } else {
            None
        };
        let default_port = if tls { 443 } else { 80 };
        let host_header = if port == default_port {
            written_host.clone()
        } else {
            format!("{written_host}:{port}")
        };
        let scheme = if tls { "https" } else { "http" };
        Ok(Origin {
            ip: IpAddr::from_str(host).ok(),
            server_name,
            host_header: HeaderValue::try_from(host_header)
                .map_err(|e| OriginError::Invalid(e.to_string()))?,
            key: Key::new(format!("{scheme}://{written_host}:{port}")),
            host: host.to_owned(),
            port,
        })
    }

    /// The host name or address, lower case, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port, explicit or the scheme's.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether connections are encrypted.
    pub fn is_tls(&self) -> bool {
        self.server_name.is_some()
    }

    /// The value of the `Host` header: without the port where it is the scheme's own.
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    pub(crate) fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }

    pub(crate) fn key(&self) -> &str {
        &self.key.text
    }

    /// The same for tables that are looked into for each request.
    pub(crate) fn hashed(&self) -> &Key {
        &self.key
    }
}

/// The name of an origin, hashed when it was read: the same name has the same hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    hash: u64,
    text: Arc<str>,
}

impl Key {
    fn new(text: String) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self {
            hash: hasher.finish(),
            text: text.into(),
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes the hash that a [`Key`] has.
#[derive(Debug, Default)]
pub(crate) struct Given(u64);

impl Hasher for Given {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

/// `scheme://host:port`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key.text)
    }
}

fn port_of(uri: &Uri, tls: bool) -> Result<u16, OriginError> {
    // `http` accepts an authority with an unparsable port and then reports none.
    let written = uri.authority().and_then(|authority| {
        let rest = authority.as_str().rsplit_once(']');
        let tail = rest.map_or(authority.as_str(), |(_, tail)| tail);
        tail.rsplit_once(':').map(|(_, port)| port)
    });
    match written {
        None if tls => Ok(443),
        None => Ok(80),
        Some(text) => match u16::from_str(text) {
            Ok(port) if port != 0 => Ok(port),
            _ => Err(OriginError::Invalid(format!("{text:?} is not a port"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasherDefault;

    #[test]
    fn parts_of_an_endpoint() {
        let cases = [
            (
                "https://api.example.com/v1/",
                "https://api.example.com:443",
                "api.example.com",
                "/v1",
            ),
            (
                "http://LOCALHOST:8080",
                "http://localhost:8080",
                "localhost:8080",
                "",
            ),
            ("http://[::1]:9/x", "http://[::1]:9", "[::1]:9", "/x"),
            ("https://[::1]", "https://[::1]:443", "[::1]", ""),
            ("http://10.0.0.1:80/", "http://10.0.0.1:80", "10.0.0.1", ""),
        ];
        for (url, key, host_header, path) in cases {
            let (origin, base) = Origin::parse(url).expect(url);
            assert_eq!(origin.key(), key);
            assert_eq!(origin.host_header(), host_header);
            assert_eq!(base, path);
        }
        let (origin, _) = Origin::parse("http://[::1]:9/x").expect("v6");
        assert_eq!(origin.host(), "::1");
        assert!(origin.ip().is_some_and(|ip| ip.is_ipv6()));
    }

    #[test]
    fn an_origin_that_is_read_again_is_the_same_place() {
        let read = |url: &str| Origin::parse(url).expect(url).0;
        let mut places = std::collections::HashSet::<_, BuildHasherDefault<Given>>::default();
        for url in ["http://a:1", "http://A:1/v1", "http://a:2", "https://a:1"] {
            places.insert(read(url).hashed().clone());
        }
        assert_eq!(places.len(), 3);
        assert!(places.contains(read("http://a:1/x").hashed()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |url: &str| Origin::parse(url).expect_err(url);
        assert_eq!(refused("ftp://example.com"), OriginError::Scheme);
        assert_eq!(
            refused("example.com/v1"),
            OriginError::Invalid("invalid format".into())
        );
        assert_eq!(refused("/v1"), OriginError::Scheme);
        assert_eq!(
            refused("https://user:pw@example.com"),
            OriginError::UserInfo
        );
        assert_eq!(refused("https://example.com/v1?x=1"), OriginError::Query);
        assert_eq!(refused("https://example.com/#x"), OriginError::Query);
        assert!(matches!(
            refused("http://example.com:0/"),
            OriginError::Invalid(_)
        ));
        assert!(matches!(
            refused("http://example.com:99999/"),
            OriginError::Invalid(_)
        ));
    }
}
