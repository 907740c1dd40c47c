//! A bound on how often one address changes something.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::HashMapStateStore,
};

use crate::{limits::Limits, problem::Problem, serve::Ends};

/// Addresses that are remembered before those that have been quiet are forgotten.
const MAX_ADDRESSES: usize = 10_000;

type Addresses = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// None: as often as one likes.
#[derive(Clone)]
pub struct ChangeRate(Option<Arc<Addresses>>);

impl ChangeRate {
    pub fn new(limits: &Limits) -> Self {
        let quota = NonZeroU32::new(limits.max_changes_per_minute).map(Quota::per_minute);
        Self(quota.map(|quota| Arc::new(RateLimiter::hashmap(quota))))
    }

    /// Counts a change, or returns after how many seconds there may be one.
    fn count(&self, address: IpAddr) -> Result<(), u32> {
        let Some(addresses) = &self.0 else {
            return Ok(());
        };
        if addresses.len() > MAX_ADDRESSES {
            addresses.retain_recent();
        }
        addresses.check_key(&address).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX)
        })
    }
}

/// Answers 429 to an address that changes too much.
pub async fn limit_changes(
    State(rate): State<ChangeRate>,
    request: Request,
    next: Next,
) -> Response {
    let is_change = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if let Some(Ends { peer, .. }) = request.extensions().get().filter(|_| is_change)
        && let Err(seconds) = rate.count(peer.ip())
    {
        let sentence =
            format!("Too many changes came from your address. Try again in {seconds} s.");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, sentence);
        return problem.retry_after(seconds).into_response();
    }
    next.run(request).await
}
