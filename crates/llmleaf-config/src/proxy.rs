//! `proxy` of a provider: through what its connections go.

use crate::diagnose::Diagnostic;
use crate::read::{Reading, Table};
use crate::{Secret, secrets, url};

/// A proxy on the way to a provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Its host name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are to it: user name and password, percent signs resolved.
    pub login: Option<(String, Secret)>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP, asked to `CONNECT`.
    Http,
    /// The same inside TLS.
    Https,
    /// SOCKS5; names are resolved there.
    Socks5,
}

impl ProxyKind {
    /// The scheme of its URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
        }
    }
}

/// Reads `proxy`. The whole value may hold a password, so it is a secret like any other and never shown.
pub(crate) fn read(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<Proxy> {
    let written = secrets::read(cx, table, "proxy")?;
    let parsed = parse(written.value.expose());
    parsed
        .map_err(|why| {
            cx.report(
                Diagnostic::error(&written.place, "`proxy` is not the URL of a proxy", why).help(
                    "`http://host:port`, `https://host:port` or `socks5://host:port`, with `user:password@` before the host where it wants one",
                ),
            );
        })
        .ok()
}

fn parse(url: &str) -> Result<Proxy, &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("has no scheme")?;
    let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (ProxyKind::Http, Some(80)),
        "https" => (ProxyKind::Https, Some(443)),
        "socks5" | "socks5h" => (ProxyKind::Socks5, Some(1080)),
        _ => return Err("is none of http, https and socks5"),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err("has a path");
    }
    let (login, authority) = match rest.rsplit_once('@') {
        Some((login, authority)) => (Some(login_of(login)?), authority),
        None => (None, rest),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        Some(digits) => digits.parse().ok().filter(|port| *port > 0),
        None => default_port,
    };
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || host.len() > 255 || !host.chars().all(fits) {
        return Err("has no host name that can be");
    }
    Ok(Proxy {
        kind,
        host: host.to_ascii_lowercase(),
        port: port.ok_or("has a bad port")?,
        login,
    })
}

/// Longest user name and password: what SOCKS5 can carry (RFC 1929).
const LONGEST: usize = 255;

fn login_of(text: &str) -> Result<(String, Secret), &'static str> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let user = url::percent_decoded(user).ok_or("has a user name with a stray `%`")?;
    let password = url::percent_decoded(password).ok_or("has a password with a stray `%`")?;
    let fits = |text: &str| text.len() <= LONGEST && !text.chars().any(char::is_control);
    if user.is_empty() || user.contains(':') || !fits(&user) || !fits(&password) {
        return Err("has a user name or password that no proxy takes");
    }
    Ok((user, Secret::new(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_proxy() {
        let read = |url: &str| {
            let proxy = parse(url).expect(url);
            let login = proxy
                .login
                .map(|(user, password)| format!("{user}:{}", password.expose()));
            (
                proxy.kind,
                proxy.host,
                proxy.port,
                login.unwrap_or_default(),
            )
        };
        let of =
            |kind, host: &str, port, login: &str| (kind, host.to_owned(), port, login.to_owned());
        assert_eq!(
            read("http://Proxy.example:3128"),
            of(ProxyKind::Http, "proxy.example", 3128, "")
        );
        assert_eq!(
            read("https://u:p%40ss:%2f@proxy/"),
            of(ProxyKind::Https, "proxy", 443, "u:p@ss:/")
        );
        assert_eq!(
            read("socks5h://me@[::1]:9"),
            of(ProxyKind::Socks5, "::1", 9, "me:")
        );
        assert_eq!(
            read("socks5://[::1]"),
            of(ProxyKind::Socks5, "::1", 1080, "")
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for url in [
            "proxy:3128",
            "ftp://proxy",
            "http://",
            "http://proxy:0",
            "http://proxy:99999",
            "http://proxy/path",
            "http://pro xy",
            "http://:pw@proxy",
            "http://u:%zz@proxy",
            "http://u:%0a@proxy",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
