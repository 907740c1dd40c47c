use std::fmt;

use anyhow::anyhow;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::Result;

/// Random bytes in a secret: nobody guesses 256 bits, so a plain SHA-256 of them is enough to store.
const BYTES: usize = 32;

/// What is given to somebody once, as text: of a session, an API token or a link.
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

/// Secrets aren't logged.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is stored of a secret. It is looked up by this hash, so how long that takes says nothing about the secret.
pub(super) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}
