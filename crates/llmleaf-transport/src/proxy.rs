//! A proxy on the way: how a tunnel to an origin is opened through it.
//!
//! Every origin is reached by a tunnel, also one without TLS, so that what is spoken inside is the same with a proxy and
//! without. The proxy resolves the origin's name. Which proxy is used is the caller's configuration alone; the environment
//! (`HTTPS_PROXY` and its kin) is not read.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::error::TransportError;
use crate::origin::{Origin, OriginError};

/// Largest head of an answer to `CONNECT`, in bytes.
const HEAD_BYTES: usize = 8 * 1024;

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP/1.1, asked to `CONNECT` (RFC 9110, section 9.3.6).
    Http,
    /// The same inside TLS.
    Https,
    /// SOCKS5 (RFC 1928), with user name and password where there are some (RFC 1929).
    Socks5,
}

/// A proxy and who we are to it. Cheap to clone; prints no credential.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    kind: ProxyKind,
    origin: Origin,
    login: Option<Login>,
}

struct Login {
    user: Zeroizing<String>,
    password: Zeroizing<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({:?} {})", self.0.kind, self.0.origin)
    }
}

impl Proxy {
    /// A proxy at that host and port.
    ///
    /// # Errors
    ///
    /// The host is no host.
    pub fn new(
        kind: ProxyKind,
        host: &str,
        port: u16,
        login: Option<(&str, &str)>,
    ) -> Result<Proxy, OriginError> {
        let written = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        Ok(Proxy(Arc::new(Inner {
            kind,
            origin: Origin::new(kind == ProxyKind::Https, &written, port)?,
            login: login.map(|(user, password)| Login {
                user: Zeroizing::new(user.to_owned()),
                password: Zeroizing::new(password.to_owned()),
            }),
        })))
    }

    /// Where the proxy is.
    pub(crate) fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Opens a tunnel to `target` over a connection to the proxy.
    pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        target: &Origin,
    ) -> Result<(), TransportError> {
        let opened = match self.0.kind {
            ProxyKind::Http | ProxyKind::Https => self.connect(stream, target).await,
            ProxyKind::Socks5 => self.socks(stream, target).await,
        };
        opened.map_err(|why| TransportError::Connect {
            refused: false,
            reason: match why {
                Why::Io(error) => format!("the proxy failed: {error}"),
                Why::Refused(text) => format!("the proxy refused: {text}"),
                Why::Invalid => "the proxy does not speak what it should".to_owned(),
            },
        })
    }

    async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        target: &Origin,
    ) -> Result<(), Why> {
        let host = target.host();
        let port = target.port();
        let authority = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let mut request = Zeroizing::new(format!(
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
        ));
        if let Some(Login { user, password }) = &self.0.login {
            let both = Zeroizing::new(format!("{}:{}", user.as_str(), password.as_str()));
            let coded = Zeroizing::new(STANDARD.encode(both.as_bytes()));
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&coded);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let status = status(&head(stream).await?).ok_or(Why::Invalid)?;
        match status {
            200..=299 => Ok(()),
            407 => Err(Why::Refused(
                "407, another user name or password".to_owned(),
            )),
            other => Err(Why::Refused(other.to_string())),
        }
    }

    async fn socks<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        target: &Origin,
    ) -> Result<(), Why> {
        const NO_LOGIN: u8 = 0;
        const PASSWORD: u8 = 2;
        let method = if self.0.login.is_some() {
            PASSWORD
        } else {
            NO_LOGIN
        };
        stream.write_all(&[5, 1, method]).await?;
        stream.flush().await?;
        let [version, chosen] = exactly(stream).await?;
        if version != 5 {
            return Err(Why::Invalid);
        }
        if chosen != method {
            return Err(Why::Refused("another way to log in".to_owned()));
        }
        if let Some(Login { user, password }) = &self.0.login {
            let mut login = Zeroizing::new(vec![1]);
            for text in [user, password] {
                login.push(u8::try_from(text.len()).map_err(|_| Why::Invalid)?);
                login.extend_from_slice(text.as_bytes());
            }
            stream.write_all(&login).await?;
            stream.flush().await?;
            if exactly::<_, 2>(stream).await? != [1, 0] {
                return Err(Why::Refused("another user name or password".to_owned()));
            }
        }
        // A connection (1) to an address by its kind.
        let mut request = vec![5, 1, 0];
        match target.ip() {
            Some(std::net::IpAddr::V4(ip)) => {
                request.push(1);
                request.extend_from_slice(&ip.octets());
            }
            Some(std::net::IpAddr::V6(ip)) => {
                request.push(4);
                request.extend_from_slice(&ip.octets());
            }
            None => {
                let host = target.host();
                request.push(3);
                request.push(u8::try_from(host.len()).map_err(|_| Why::Invalid)?);
                request.extend_from_slice(host.as_bytes());
            }
        }
        request.extend_from_slice(&target.port().to_be_bytes());
        stream.write_all(&request).await?;
        stream.flush().await?;
        let [version, reply, _, kind] = exactly(stream).await?;
        if version != 5 {
            return Err(Why::Invalid);
        }
        if reply != 0 {
            return Err(Why::Refused(socks_reply(reply)));
        }
        // The address that the proxy uses is of no interest, but stands before what comes from the target.
        let length = match kind {
            1 => 4,
            4 => 16,
            3 => {
                let [length] = exactly(stream).await?;
                usize::from(length)
            }
            _ => return Err(Why::Invalid),
        };
        let mut rest = vec![0; length + 2];
        stream.read_exact(&mut rest).await?;
        Ok(())
    }
}

/// Why there is no tunnel.
enum Why {
    Io(std::io::Error),
    Refused(String),
    Invalid,
}

impl From<std::io::Error> for Why {
    fn from(error: std::io::Error) -> Why {
        Why::Io(error)
    }
}

async fn exactly<S: AsyncRead + Unpin, const N: usize>(stream: &mut S) -> Result<[u8; N], Why> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A head up to its blank line, and not a byte more: what follows is the tunnel's.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, Why> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES {
            return Err(Why::Invalid);
        }
        let [byte] = exactly(stream).await?;
        head.push(byte);
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head.get(..12)?).ok()?;
    let digits = text
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| text.strip_prefix("HTTP/1.0 "))?;
    digits
        .parse()
        .ok()
        .filter(|status| (100..600).contains(status))
}

fn socks_reply(code: u8) -> String {
    let words = match code {
        1 => "a failure of its own",
        2 => "its rules forbid it",
        3 => "the network is unreachable",
        4 => "the host is unreachable",
        5 => "the connection was refused",
        6 => "it took too long",
        7 | 8 => "it does not offer that",
        _ => "a reason without a name",
    };
    words.to_owned()
}
