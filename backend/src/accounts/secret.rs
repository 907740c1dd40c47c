use std::fmt;

use anyhow::anyhow;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::Result;

/// The number of random bytes in a secret. Nobody guesses 256 bits, so storing their plain SHA-256 is enough.
const BYTES: usize = 32;

/// The secret of a session, an API token or a link, as text that its owner receives once.
pub struct Secret(String);

impl Secret {
    pub(super) fn new(start: &str) -> Result<Self> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
        Ok(Self(format!("{start}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> Vec<u8> {
        hash(&self.0)
    }
}

/// Keeps secrets out of logs.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Returns the hash under which a secret is stored. Secrets are looked up by their hash, so timing reveals nothing
/// about them.
pub(super) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}
