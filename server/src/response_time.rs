//! Limits the time until a response begins.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::problem::{Problem, ProblemKind};

/// Responds with 503 in place of a handler that takes longer than this, because a service has stopped responding.
/// Whatever the handler was doing is dropped, as if the client had disconnected. Not for requests that send files.
pub async fn limit(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    let response = tokio::time::timeout(longest, next.run(request)).await;
    response.unwrap_or_else(|_| {
        tracing::warn!("a request was given up because a service doesn't respond");
        let sentence =
            "A service that Batchline depends on is taking too long to respond. Try again in a moment.";
        let problem = Problem::new(ProblemKind::Unavailable, sentence);
        problem.retry_after(5).into_response()
    })
}
