//! Rate limits on changes per address, on attempts to sign in, and on what the audit records about refusals.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::{Email, UserId};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::HashMapStateStore,
};
use prometheus::IntCounter;

use crate::{
    limits::Limits,
    metrics::{Limited, Metrics},
    peers::Ends,
    problem::{Problem, ProblemKind},
};

/// The number of keys beyond which idle ones are forgotten.
const MANY_KEYS: usize = 10_000;
/// The maximum number of keys. Beyond it, everybody has to wait.
const MAX_KEYS: usize = 200_000;

/// A rate limit per key. `None` means unlimited.
struct Rate<K: Hash + Eq + Clone>(Option<Arc<Counts<K>>>);

struct Counts<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, DefaultClock>,
    /// When idle keys were last forgotten.
    tidied: Mutex<Instant>,
}

impl<K: Hash + Eq + Clone> Clone for Rate<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(quota: Option<Quota>) -> Self {
        Self(quota.map(|quota| {
            Arc::new(Counts {
                limiter: RateLimiter::hashmap(quota),
                tidied: Mutex::new(Instant::now()),
            })
        }))
    }

    /// Counts one more event, or returns the number of seconds until the next one is allowed.
    fn count(&self, key: &K) -> Result<(), u32> {
        let Some(Counts { limiter, tidied }) = self.0.as_deref() else {
            return Ok(());
        };
        if limiter.len() > MANY_KEYS {
            let mut tidied = tidied.lock().unwrap_or_else(PoisonError::into_inner);
            // This scans all keys.
            if tidied.elapsed() > Duration::from_secs(1) {
                limiter.retain_recent();
                *tidied = Instant::now();
            }
            if limiter.len() > MAX_KEYS {
                return Err(60);
            }
        }
        limiter.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX)
        })
    }
}

#[derive(Clone)]
pub struct ChangeRate {
    address: Rate<IpAddr>,
    refused: IntCounter,
}

impl ChangeRate {
    pub fn new(limits: &Limits, metrics: &Metrics) -> Self {
        let quota = NonZeroU32::new(limits.max_changes_per_minute).map(Quota::per_minute);
        Self {
            address: Rate::new(quota),
            refused: metrics.refused(Limited::Changes),
        }
    }
}

/// Rate limits on attempts to sign in: per address, per account and address, and per account; and on attempts to change
/// one's own password, per user. Guessing passwords from many addresses can't lock out anybody who is signed in or has an
/// API token.
#[derive(Clone)]
pub struct SignInRate {
    address: Rate<IpAddr>,
    /// Counted apart, because a sign-in with a provider begins and ends with a request.
    begun: Rate<IpAddr>,
    account_from_address: Rate<(String, IpAddr)>,
    account: Rate<String>,
    /// Attempts of signed-in users with their own password. Counted apart from sign-ins, with which strangers could keep
    /// users from changing their password.
    own_password: Rate<UserId>,
    refused: IntCounter,
}

impl SignInRate {
    pub fn new(limits: &Limits, metrics: &Metrics) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        let per_account = |tries: u32, one_more: Duration| {
            let quota = Quota::with_period(one_more).expect("it is not zero");
            NonZeroU32::new(tries).map(|tries| quota.allow_burst(tries))
        };
        let tries = limits.max_sign_ins_per_account;
        let per_address = NonZeroU32::new(limits.max_sign_ins_per_minute).map(Quota::per_minute);
        Self {
            address: Rate::new(per_address),
            begun: Rate::new(per_address),
            account_from_address: Rate::new(per_account(tries, MINUTE)),
            account: Rate::new(per_account(tries * 10, MINUTE / 10)),
            own_password: Rate::new(per_account(tries, MINUTE)),
            refused: metrics.refused(Limited::SignIns),
        }
    }

    /// Counts a sign-in that is about to begin at the provider, or refuses it.
    pub fn count_begun(&self, address: IpAddr) -> Result<(), Problem> {
        self.begun
            .count(&whose(address))
            .map_err(|seconds| self.refuse(seconds))
    }

    /// Counts an attempt that names no account, or refuses it.
    pub fn count_address(&self, address: IpAddr) -> Result<(), Problem> {
        self.address
            .count(&whose(address))
            .map_err(|seconds| self.refuse(seconds))
    }

    /// Counts an attempt of a signed-in user to change their password, or refuses it.
    pub fn count_password_change(&self, user_id: UserId) -> Result<(), Problem> {
        self.own_password.count(&user_id).map_err(|seconds| {
            self.refused.inc();
            let sentence =
                format!("Too many attempts to change the password. Try again in {seconds} s.");
            Problem::new(ProblemKind::TooManyRequests, sentence).retry_after(seconds)
        })
    }

    /// Counts an attempt of a signed-in user to confirm who they are, or refuses it. It counts like one to sign in from the
    /// address, and like one to change the password, which it guesses as well.
    pub fn count_confirmation(&self, address: IpAddr, user_id: UserId) -> Result<(), Problem> {
        self.address
            .count(&whose(address))
            .and_then(|()| self.own_password.count(&user_id))
            .map_err(|seconds| self.refuse(seconds))
    }

    /// Counts an attempt, or refuses it. `account` is an email address or any other text that identifies an account.
    pub fn count(&self, address: IpAddr, account: &str) -> Result<(), Problem> {
        let address = whose(address);
        let account: String = account
            .trim()
            .chars()
            .take(Email::MAX_CHARS)
            .flat_map(char::to_lowercase)
            .collect();
        self.address
            .count(&address)
            .and_then(|()| self.account_from_address.count(&(account.clone(), address)))
            .and_then(|()| self.account.count(&account))
            .map_err(|seconds| self.refuse(seconds))
    }

    fn refuse(&self, seconds: u32) -> Problem {
        self.refused.inc();
        let sentence = format!("Too many sign-in attempts. Try again in {seconds} s.");
        let problem = Problem::new(ProblemKind::TooManyRequests, sentence);
        problem.retry_after(seconds)
    }
}

/// Limits how often refusals of a kind are recorded for an address, because they cost a client nothing.
#[derive(Clone)]
pub struct RecordRate<K: Hash + Eq + Clone>(Rate<(K, IpAddr)>);

impl<K: Hash + Eq + Clone> RecordRate<K> {
    /// One in each `period`.
    pub fn new(period: Duration) -> Self {
        Self(Rate::new(Quota::with_period(period)))
    }

    /// Returns whether another refusal of this kind is recorded.
    pub fn allows(&self, kind: K, address: IpAddr) -> bool {
        self.0.count(&(kind, whose(address))).is_ok()
    }
}

/// Returns the address, or the /64 network of an IPv6 address, whose owner has all of its addresses.
pub fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
        address => address,
    }
}

/// Responds with 429 to an address that makes too many changes.
pub async fn limit_changes(
    State(rate): State<ChangeRate>,
    request: Request,
    next: Next,
) -> Response {
    let is_change = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if let Some(Ends { client, .. }) = request.extensions().get().filter(|_| is_change)
        && let Err(seconds) = rate.address.count(&whose(*client))
    {
        rate.refused.inc();
        let sentence =
            format!("Too many changes came from your address. Try again in {seconds} s.");
        let problem = Problem::new(ProblemKind::TooManyRequests, sentence);
        return problem.retry_after(seconds).into_response();
    }
    next.run(request).await
}
