//! Argon2id and argon2i, in PHC string form.

use argon2::{Algorithm, Argon2, Params, Version};
use argon2::{PasswordHasher, password_hash::phc};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{HashError, OutOfMemory};
use crate::error::MintError;

/// Most memory that one check may take, in KiB: 64 MiB.
pub const MAX_ARGON2_MEMORY_KIB: u32 = 64 * 1024;
/// Most passes over that memory.
pub const MAX_ARGON2_PASSES: u32 = 4;
/// Most lanes. They cost nothing more here, since they are worked on one after the other.
pub const MAX_ARGON2_LANES: u32 = 16;

/// Below this, other passwords would match by chance.
const MIN_OUTPUT_BYTES: usize = 16;
const SCHEME: &str = "argon2";

#[derive(PartialEq, Eq)]
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Box<[u8]>,
    output: Box<[u8]>,
}

impl Argon2Hash {
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| malformed("it is not a PHC string"))?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str())
            .map_err(|_| malformed("unknown variant"))?;
        let version = match hash.version {
            None => Version::V0x10,
            Some(number) => Version::try_from(number).map_err(|_| malformed("unknown version"))?,
        };
        let params =
            Params::try_from(&hash).map_err(|_| malformed("its parameters do not fit together"))?;
        if !params.keyid().is_empty() || !params.data().is_empty() {
            return Err(malformed("keyid and data are not supported"));
        }
        ceiling("memory in KiB (m)", params.m_cost(), MAX_ARGON2_MEMORY_KIB)?;
        ceiling("passes (t)", params.t_cost(), MAX_ARGON2_PASSES)?;
        ceiling("lanes (p)", params.p_cost(), MAX_ARGON2_LANES)?;
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(malformed("salt or output is missing"));
        };
        if salt.len() < argon2::MIN_SALT_LEN {
            return Err(malformed("the salt has fewer than 8 bytes"));
        }
        if output.len() < MIN_OUTPUT_BYTES {
            return Err(malformed("the output has fewer than 16 bytes"));
        }
        Ok(Self {
            algorithm,
            version,
            memory_kib: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
            salt: salt.as_ref().into(),
            output: output.as_bytes().into(),
        })
    }

    /// The parameters were accepted by [`Self::parse`] and the lengths are bounded, so only memory can be wanting.
    pub(super) fn verify(&self, password: &[u8]) -> Result<bool, OutOfMemory> {
        let params = Params::new(
            self.memory_kib,
            self.passes,
            self.lanes,
            Some(self.output.len()),
        )
        .map_err(|_| OutOfMemory)?;
        let mut output = Zeroizing::new(vec![0_u8; self.output.len()]);
        let hasher = Argon2::new(self.algorithm, self.version, params);
        hasher
            .hash_password_into(password, &self.salt, &mut output)
            .map_err(|_| OutOfMemory)?;
        Ok(output.ct_eq(&self.output).into())
    }
}

/// See [`super::hash_password`].
pub(super) fn hash(password: &[u8]) -> Result<String, MintError> {
    let mut salt = [0_u8; argon2::RECOMMENDED_SALT_LEN];
    getrandom::fill(&mut salt).map_err(|_| MintError::Entropy)?;
    let params = Params::new(19 * 1024, 2, 1, Some(Params::DEFAULT_OUTPUT_LEN))
        .map_err(|_| MintError::Hash)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password, &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| MintError::Hash)
}

fn malformed(why: &'static str) -> HashError {
    HashError::Malformed {
        scheme: SCHEME,
        why,
    }
}

fn ceiling(parameter: &'static str, value: u32, ceiling: u32) -> Result<(), HashError> {
    if value <= ceiling {
        return Ok(());
    }
    Err(HashError::TooCostly {
        scheme: SCHEME,
        parameter,
        value: value.into(),
        ceiling: ceiling.into(),
    })
}
