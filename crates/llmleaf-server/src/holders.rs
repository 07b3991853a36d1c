//! By what sealed ids know providers and their accounts: by marks that only who has the secret can make.

use llmleaf_auth::IdSeal;
use llmleaf_auth::sealed_id::TAG;
use llmleaf_config::Config;

/// The providers of a configuration, by the marks of one secret.
#[derive(Debug)]
pub struct Holders(Vec<Marks>);

#[derive(Debug)]
struct Marks {
    name: [u8; TAG],
    credentials: Vec<[u8; TAG]>,
}

impl Holders {
    /// All that are configured.
    pub fn of(seal: &IdSeal, config: &Config) -> Self {
        let providers = config.providers.iter().map(|provider| {
            let credentials = provider.credentials.iter();
            let accounts = credentials.map(|credential| credential.identity());
            (provider.name.as_str(), accounts.collect())
        });
        Self::new(seal, providers)
    }

    /// Those of these names, each with what stands for its accounts.
    pub fn new<'n>(seal: &IdSeal, all: impl Iterator<Item = (&'n str, Vec<Vec<u8>>)>) -> Self {
        let marks = all.map(|(name, accounts)| Marks {
            name: seal.tag("provider", name.as_bytes()),
            credentials: accounts
                .iter()
                .map(|account| seal.tag("credential", account))
                .collect(),
        });
        Self(marks.collect())
    }

    /// What says a provider, and one of its accounts where that is known; nothing of a provider that is none of these.
    pub fn told(&self, provider: usize, credential: Option<usize>) -> Option<[[u8; TAG]; 2]> {
        let marks = self.0.get(provider)?;
        let account = credential.and_then(|at| marks.credentials.get(at));
        Some([marks.name, account.copied().unwrap_or_default()])
    }

    /// Who is said. Of an account that is not configured any more, another credential may have taken the place.
    pub fn find(&self, name: &[u8; TAG], account: &[u8; TAG]) -> Option<(usize, Option<usize>)> {
        let mut all = self.0.iter().enumerate();
        let (at, marks) = all.find(|(_, marks)| marks.name == *name)?;
        let credential = marks.credentials.iter().position(|mark| mark == account);
        Some((at, credential))
    }
}
