use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::Context;
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        phc::{Output, ParamsString, PasswordHash, Salt},
        try_generate_salt,
    },
};
use domain::{InvalidField, NewPassword};
use tokio::{sync::Semaphore, task::spawn_blocking};
use zxcvbn::{Score, zxcvbn};

use super::breached::{BreachedPasswords, RangeService};
use crate::{Error, Result};

/// The number of passwords hashed at the same time. Each takes 19 MiB and a core for about ten milliseconds.
const AT_ONCE: usize = 2;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hashes and verifies passwords with Argon2id and the parameters that OWASP recommends, which are the defaults of the
/// crate: 19 MiB, two passes, one lane.
#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    memory: Memory,
    /// A hash to verify against for unknown users, so that they take as long as known ones.
    nobody: Arc<OnceLock<String>>,
    /// Knows the passwords of breaches, if there is one.
    ranges: Option<RangeService>,
}

impl Passwords {
    pub fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            memory: Memory::default(),
            nobody: Arc::default(),
            ranges: None,
        }
    }

    /// Also checks new passwords against these.
    pub fn with_breached(self, breached: &BreachedPasswords) -> anyhow::Result<Self> {
        Ok(Self {
            ranges: breached.service()?,
            ..self
        })
    }

    /// Refuses a new password that is easy to guess or known from a breach. Fails with [`Error::Unavailable`] if the service
    /// that knows breaches can't be asked. May take seconds, so no transaction may be open.
    pub async fn check(&self, password: &NewPassword, known: &[&str]) -> Result<()> {
        check_strength(password, known)?;
        match &self.ranges {
            Some(ranges) if ranges.knows(password).await? => Err(InvalidField::new(
                "new_password",
                "This password is in a list of stolen passwords. Use a different one.",
            )
            .into()),
            _ => Ok(()),
        }
    }

    pub async fn hash(&self, password: &NewPassword) -> Result<String> {
        let (password, memory) = (password.clone(), self.memory.clone());
        self.in_turn(move || memory.hash(password.as_str())).await?
    }

    /// Returns whether the hash belongs to this password. Returns `false` without a hash, after the same time.
    pub async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool> {
        // A longer one can't have been set, so it isn't worth hashing.
        let is_possible = password.chars().count() <= NewPassword::MAX_CHARS;
        let password = match is_possible {
            true => password.to_owned(),
            false => String::new(),
        };
        let (nobody, memory) = (self.nobody.clone(), self.memory.clone());
        self.in_turn(move || {
            let is_known = stored.is_some();
            let stored = match stored {
                Some(stored) => stored,
                None => match nobody.get() {
                    Some(nobody) => nobody.clone(),
                    None => {
                        let made = memory.hash("nobody has this password")?;
                        nobody.get_or_init(|| made).clone()
                    }
                },
            };
            let verified = memory.verify(&password, &stored);
            Ok(verified.is_some() && is_known && is_possible)
        })
        .await?
    }

    /// Returns a new hash of the password if the stored one was made with other parameters than today's.
    pub async fn renewed(&self, password: &str, stored: &str) -> Result<Option<String>> {
        if has_todays_parameters(stored) {
            return Ok(None);
        }
        let (password, memory) = (password.to_owned(), self.memory.clone());
        self.in_turn(move || memory.hash(&password))
            .await?
            .map(Some)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let sentence = "Too many people are signing in right now. Try again in a few seconds.";
            return Err(Error::Unavailable(sentence.to_owned()));
        };
        // Held by the work rather than the request, which may be dropped.
        let done = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| Error::Internal(error.into()))
    }
}

/// The memory for hashes that aren't being computed, to be used again. If each had memory of its own, the heap would grow by
/// most of them: its blocks are aligned, and glibc seldom finds room for such an allocation in what was freed.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<Vec<Block>>>>);

impl Memory {
    fn hash(&self, password: &str) -> Result<String> {
        let hash = || -> anyhow::Result<PasswordHash> {
            let salt = Salt::new(&try_generate_salt()?)?;
            let argon2 = Argon2::default();
            Ok(PasswordHash {
                algorithm: Algorithm::default().ident(),
                version: Some(Version::default().into()),
                params: ParamsString::try_from(argon2.params())?,
                salt: Some(salt),
                hash: Some(self.output(&argon2, password, &salt)?),
            })
        };
        let hash = hash().context("hashing a password")?;
        Ok(hash.to_string())
    }

    /// Returns `None` if it isn't the hash of this password.
    fn verify(&self, password: &str, stored: &str) -> Option<()> {
        let stored = PasswordHash::new(stored).ok()?;
        let version = stored.version.map(Version::try_from).transpose().ok()?;
        let argon2 = Argon2::new(
            Algorithm::new(stored.algorithm).ok()?,
            version.unwrap_or_default(),
            Params::try_from(&stored).ok()?,
        );
        let output = self.output(&argon2, password, stored.salt.as_ref()?);
        // This comparison takes the same time for all outputs.
        (output.ok()? == stored.hash?).then_some(())
    }

    fn output(&self, argon2: &Argon2<'_>, password: &str, salt: &Salt) -> anyhow::Result<Output> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = kept().pop().unwrap_or_default();
        blocks.resize(argon2.params().block_count(), Block::new());
        let length = argon2.params().output_len();
        let mut output = vec![0; length.unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
        let hashed = argon2.hash_password_into_with_memory(
            password.as_bytes(),
            salt,
            &mut output,
            &mut blocks,
        );
        kept().push(blocks);
        hashed?;
        Ok(Output::new(&output)?)
    }
}

fn has_todays_parameters(stored: &str) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else {
        return false;
    };
    let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    stored.algorithm == Algorithm::default().ident()
        && stored.version == Some(Version::default().into())
        && Params::try_from(&stored).is_ok_and(|params| costs(&params) == costs(&Params::DEFAULT))
}

/// Refuses a password that is quickly guessed: a very common one, a keyboard pattern, or personal data of its owner
/// (OWASP ASVS 5.0, 6.2.4 and 6.2.11).
fn check_strength(password: &NewPassword, known: &[&str]) -> Result<(), InvalidField> {
    let words: Vec<&str> = known
        .iter()
        .flat_map(|known| known.split(|c: char| !c.is_alphanumeric()))
        .chain(known.iter().copied())
        .chain(["batchline"])
        .filter(|word| word.chars().count() > 2)
        .collect();
    let is_guessed = zxcvbn(password.as_str(), &words).score() < Score::Three;
    match is_guessed || is_made_of(password.as_str(), &words) {
        false => Ok(()),
        true => Err(InvalidField::new(
            "new_password",
            "The password is too easy to guess. Use one that isn't based on common words, names or patterns.",
        )),
    }
}

/// Returns whether little of the password remains without these words. The estimate above overrates several of them in
/// a row.
fn is_made_of(password: &str, words: &[&str]) -> bool {
    const LEAST_CHARS: usize = 8;
    let mut rest = password.to_lowercase();
    for word in words {
        rest = rest.replace(&word.to_lowercase(), "");
    }
    rest.chars().count() < LEAST_CHARS
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, PasswordVerifier};

    use super::*;

    fn password(text: &str) -> NewPassword {
        NewPassword::parse(text).unwrap()
    }

    #[test]
    fn easily_guessed_passwords_are_refused() {
        let known = ["Ann Example", "ann.example@company.com"];
        for weak in [
            "password1234",
            "passwordpassword",
            "123456789012",
            "qwertyuiop123",
            "iloveyou2024",
            "aaaaaaaaaaaaaaa",
            "ann.example@company.com",
            "AnnExample2024",
            "batchline2026",
        ] {
            let refused = check_strength(&password(weak), &known);
            assert!(refused.is_err(), "{weak}");
        }
        for strong in [
            "correct horse battery staple",
            "vN3#xq-81kLpz",
            "übermäßig lange Wege",
            "mauve trombone ladder",
        ] {
            assert_eq!(
                check_strength(&password(strong), &known),
                Ok(()),
                "{strong}"
            );
        }
    }

    #[tokio::test]
    async fn only_the_password_itself_is_verified() {
        let passwords = Passwords::new();
        let right = password("correct horse battery staple");
        let stored = passwords.hash(&right).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        let renewed = passwords.renewed(right.as_str(), &stored).await.unwrap();
        assert_eq!(renewed, None);
        for older in [
            stored.replace("m=19456", "m=8192"),
            stored.replace("t=2", "t=1"),
            stored.replace("p=1", "p=2"),
            stored.replace("v=19", "v=16"),
            stored.replace("argon2id", "argon2i"),
        ] {
            let renewed = passwords.renewed(right.as_str(), &older).await.unwrap();
            assert!(renewed.is_some(), "{older}");
        }
        let verify = |text: String, stored: &Option<String>| {
            let (passwords, stored) = (passwords.clone(), stored.clone());
            async move { passwords.verify(&text, stored).await.unwrap() }
        };
        let stored = Some(stored);
        assert!(verify(right.as_str().to_owned(), &stored).await);
        assert!(!verify("correct horse battery stapl".to_owned(), &stored).await);
        assert!(!verify("Correct horse battery staple".to_owned(), &stored).await);
        assert!(!verify(String::new(), &stored).await);
        assert!(!verify("x".repeat(100_000), &stored).await);
        assert!(!verify("nobody has this password".to_owned(), &None).await);
        assert!(!verify(String::new(), &Some("no hash".to_owned())).await);
    }

    /// What the crate does by itself is the same, but takes new memory each time.
    #[test]
    fn hashes_are_those_of_the_crate_and_share_memory() {
        let memory = Memory::default();
        let right = "correct horse battery staple";
        let ours = memory.hash(right).unwrap();
        Argon2::default()
            .verify_password(right.as_bytes(), ours.as_str())
            .unwrap();
        let small = Params::new(64, 1, 1, Some(16)).unwrap();
        for argon2 in [Argon2::default(), Argon2::from(small)] {
            let theirs = argon2.hash_password(right.as_bytes()).unwrap().to_string();
            assert!(memory.verify(right, &theirs).is_some(), "{theirs}");
            assert!(memory.verify("another one", &theirs).is_none());
        }
        assert_eq!(memory.0.lock().unwrap().len(), 1);
    }
}
