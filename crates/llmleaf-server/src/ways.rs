//! The ways to providers: whose certificates are trusted, what proves who we are, and through which proxy.

use crate::app::BuildError;
use llmleaf_config::{ClientCertificate, Config, Credential, Provider};
use llmleaf_transport::{Identity, Limits, Pool, Proxy, ProxyKind, TlsConfig};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A way. Providers whose ways are equal share one, and so a pool of connections.
#[derive(Clone, Debug)]
pub struct Way {
    /// Stands for everything that it was made from, so that a reload knows a way again.
    mark: [u8; 32],
    pub tls: TlsConfig,
    proxy: Option<Proxy>,
}

impl Way {
    /// Whether it was made from the same.
    pub fn same_as(&self, other: &Self) -> bool {
        self.mark == other.mark
    }

    /// The same for what may not keep a way.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.mark
    }

    /// A pool for connections that go this way.
    pub fn pool(&self) -> Pool {
        Pool::through(self.proxy.clone(), Limits::default(), self.tls.clone())
    }
}

/// A provider's way, and that to where its tokens come from.
type Indices = (usize, usize);

/// The ways of a configuration, and each provider's index among them, with that of the way to where its tokens come from. What is known
/// from `before` is taken from there: it keeps its connections.
///
/// Who intercepts the one way, or stands as a proxy before it, does so on the other as well: both trust the same. The client's
/// certificate is for the provider alone, and to the machine's own endpoint no proxy leads.
///
/// # Errors
/// A file cannot be read, or is not what it should be.
pub fn ways(config: &Config, before: &[Way]) -> Result<(Vec<Way>, Vec<Indices>), BuildError> {
    let mut ways: Vec<Way> = Vec::new();
    let mut of = Vec::with_capacity(config.providers.len());
    for provider in &config.providers {
        let mut wanted = Wanted::read(provider)?;
        let own = index(&mut ways, before, &provider.name, &wanted)?;
        let mut mints = own;
        let minted = provider
            .credentials
            .iter()
            .filter_map(|credential| match credential {
                Credential::Minted(source) => Some(source),
                Credential::Plain(_) | Credential::InHeader(..) => None,
            });
        let mut minted = minted.peekable();
        if minted.peek().is_some() {
            wanted.identity = None;
            if minted.all(|source| source.is_ambient()) {
                wanted.proxy = None;
            }
            mints = index(&mut ways, before, &provider.name, &wanted)?;
        }
        of.push((own, mints));
    }
    Ok((ways, of))
}

/// The index of a way that is made from this.
fn index(
    ways: &mut Vec<Way>,
    before: &[Way],
    whose: &str,
    wanted: &Wanted<'_>,
) -> Result<usize, BuildError> {
    let mark = wanted.mark();
    if let Some(index) = ways.iter().position(|way| way.mark == mark) {
        return Ok(index);
    }
    let known = before.iter().find(|way| way.mark == mark).cloned();
    ways.push(match known {
        Some(way) => way,
        None => wanted.way(mark, whose)?,
    });
    Ok(ways.len() - 1)
}

/// Whose authorities are trusted on a way, and what proves there who we are.
pub type Papers<'a> = (Option<&'a Path>, Option<&'a ClientCertificate>);

/// The index of a way to something that is no provider, with authorities of its own or the public ones.
///
/// # Errors
/// The file cannot be read, or is not what it should be.
pub fn beside(
    ways: &mut Vec<Way>,
    before: &[Way],
    whose: &str,
    (ca, identity): Papers<'_>,
) -> Result<usize, BuildError> {
    let wanted = Wanted {
        ca: ca.map(file).transpose()?,
        identity: pair(identity)?,
        proxy: None,
    };
    index(ways, before, whose, &wanted)
}

/// A certificate and its key.
type Pair = (Vec<u8>, zeroize::Zeroizing<Vec<u8>>);

fn pair(paths: Option<&ClientCertificate>) -> Result<Option<Pair>, BuildError> {
    let paths = paths.map(|paths| Ok((file(&paths.cert)?, file(&paths.key)?.into())));
    paths.transpose()
}

/// What a way is made from.
struct Wanted<'a> {
    ca: Option<Vec<u8>>,
    identity: Option<Pair>,
    proxy: Option<&'a llmleaf_config::Proxy>,
}

impl<'a> Wanted<'a> {
    fn read(provider: &'a Provider) -> Result<Self, BuildError> {
        let ca = provider.ca_file.as_deref().map(file).transpose()?;
        Ok(Self {
            ca,
            identity: pair(provider.client_certificate.as_ref())?,
            proxy: provider.proxy.as_ref(),
        })
    }

    fn mark(&self) -> [u8; 32] {
        let mut mark = Sha256::new();
        let mut add = |part: Option<&[u8]>| {
            let bytes = part.unwrap_or_default();
            let length = part.map_or(u64::MAX, |bytes| bytes.len() as u64);
            mark.update(length.to_le_bytes());
            mark.update(bytes);
        };
        add(self.ca.as_deref());
        add(self.identity.as_ref().map(|(cert, _)| cert.as_slice()));
        add(self.identity.as_ref().map(|(_, key)| key.as_slice()));
        add(self.proxy.map(|proxy| proxy.kind.as_str().as_bytes()));
        add(self.proxy.map(|proxy| proxy.host.as_bytes()));
        let port = self.proxy.map(|proxy| proxy.port.to_le_bytes());
        add(port.as_ref().map(<[u8; 2]>::as_slice));
        let login = self.proxy.and_then(|proxy| proxy.login.as_ref());
        add(login.map(|(user, _)| user.as_bytes()));
        add(login.map(|(_, password)| password.expose().as_bytes()));
        mark.finalize().into()
    }

    fn way(&self, mark: [u8; 32], whose: &str) -> Result<Way, BuildError> {
        let identity = self
            .identity
            .as_ref()
            .map(|(cert, key)| Identity { cert, key });
        let tls =
            TlsConfig::with(self.ca.as_deref(), identity).map_err(|error| BuildError::Trust {
                provider: whose.to_owned(),
                error,
            })?;
        let proxy = self.proxy.map(|proxy| {
            let kind = match proxy.kind {
                llmleaf_config::ProxyKind::Http => ProxyKind::Http,
                llmleaf_config::ProxyKind::Https => ProxyKind::Https,
                llmleaf_config::ProxyKind::Socks5 => ProxyKind::Socks5,
            };
            let login = proxy.login.as_ref();
            let login = login.map(|(user, password)| (user.as_str(), password.expose()));
            Proxy::new(kind, &proxy.host, proxy.port, login)
        });
        let proxy = proxy.transpose().map_err(|error| BuildError::Proxy {
            provider: whose.to_owned(),
            error,
        })?;
        Ok(Way { mark, tls, proxy })
    }
}

/// A file's bytes.
pub fn file(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|error| BuildError::File {
        path: path.to_owned(),
        error,
    })
}
