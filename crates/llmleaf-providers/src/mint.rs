//! Credentials that do not last: what a service knows of how they are had. Where the secrets for that come from is the operator's.

/// How short-lived credentials are had.
#[derive(Clone, Copy, Debug)]
pub enum Mints {
    /// Not at all: what the operator writes down is sent.
    Nothing,
    /// By a key file, or from the machine.
    KeyFiles(KeyFiles),
    /// By an application's id and secret.
    ClientGrant(ClientGrant),
}

/// Key files as a cloud's tools write them.
#[derive(Clone, Copy, Debug)]
pub struct KeyFiles {
    /// Where a file's proof is turned into a token, for files that do not say so.
    pub token_url: &'static str,
    /// What tokens are asked for.
    pub scope: &'static str,
    /// Variable that names the key file.
    pub file_env: &'static str,
    /// Where its tool leaves a person's: (variable that names the folder, folder below the home, file).
    pub left_by_tool: (&'static str, &'static str, &'static str),
    /// Variables that name the project.
    pub project_env: &'static [&'static str],
    /// The machine's own.
    pub ambient: Ambient,
    /// Header for a credential that is a key and no token, and how such keys begin.
    pub key_header: &'static str,
    /// How keys begin.
    pub keys_begin: &'static [&'static str],
    /// How tokens begin.
    pub tokens_begin: &'static [&'static str],
}

/// What a machine in the cloud is given by the cloud.
#[derive(Clone, Copy, Debug)]
pub struct Ambient {
    /// Variable that names another host.
    pub host_env: &'static str,
    /// Its host.
    pub host: &'static str,
    /// Path of the token.
    pub path: &'static str,
    /// The header without which it refuses: (name, value).
    pub header: (&'static str, &'static str),
}

/// An application's own id and secret, for a token (RFC 6749, section 4.4).
#[derive(Clone, Copy, Debug)]
pub struct ClientGrant {
    /// Where, before and after the name of the tenant.
    pub authority: &'static str,
    /// Path below the authority; `{}` is the tenant.
    pub path: &'static str,
    /// What tokens are asked for.
    pub scope: &'static str,
}
