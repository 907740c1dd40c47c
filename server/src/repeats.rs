//! One response to a form that is sent twice, as a double click does without JavaScript. The browser drops the first
//! response with its cookies, and shows the second. Some forms do something else the second time. For others, the first
//! has ended the secret with which the second comes, too. So both get the same response, and the change is made once.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use app::pages::PendingForm;
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header::AUTHORIZATION, response::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use backend::traces;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use sha2::{Digest, Sha256};
use tokio::time::sleep;
use url::form_urlencoded;

use crate::{
    auth::{self, By},
    pages::has_failed,
    problem,
    state::AppState,
};

/// The forms that are answered once, besides those that confirm who their sender is.
const ONCE: [&str; 6] = [
    // These use up a code, and the first response has a session or the recovery codes.
    "/sign-in/code",
    "/account/second-factor/code",
    // This ends the secret of the session.
    "/account/password",
    // These create something each time, or fail the second time. Only the first response contains its secret.
    "/account/tokens",
    "/accounts",
    "/rpc/create-demo-job",
];

/// How long a response is kept.
const KEPT: Duration = Duration::from_secs(5);
/// The maximum number of responses that are kept. Further forms get responses of their own.
const MAX_KEPT: usize = 200;

/// The responses to recent forms, by the hash of everything that decides about such a response.
#[derive(Clone, Default)]
pub struct Repeats(Arc<Mutex<HashMap<FormHash, Answer>>>);

type FormHash = [u8; 32];
/// `None` if the server shuts down.
type Answer = Shared<BoxFuture<'static, Option<(Parts, Bytes)>>>;

/// Passes a form on. If it is answered once and was sent a moment ago, sends the same response again.
///
/// Runs before the session is looked up, because the form may have ended its secret. Only a sender with the same secrets,
/// fields and codes, who could also have received the first response, gets it again. Without the cookie of a session or of
/// a half session, nothing identifies the sender, and every form is passed on.
pub async fn answer_once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (headers, extensions) = (request.headers(), request.extensions());
    let session = auth::session_secret(headers, extensions).unwrap_or_default();
    let half_session = auth::half_session(headers, extensions).unwrap_or_default();
    let is_anonymous = session.is_empty() && half_session.is_empty();
    if request.method() != Method::POST || is_anonymous {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    // The layer around this one limits it, and responds with 413 or 408 in place of this.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let is_once = ONCE.contains(&parts.uri.path())
        || form_urlencoded::parse(&body).any(|(name, _)| name == PendingForm::PASSWORD);
    // An API token takes precedence over a cookie, which may then be anything.
    let token = parts.headers.get(AUTHORIZATION);
    let mut form = Sha256::new();
    for part in [
        session.as_bytes(),
        half_session.as_bytes(),
        token.map_or(&[], |token| token.as_bytes()),
        parts.uri.to_string().as_bytes(),
        &body[..],
    ] {
        form.update(Sha256::digest(part));
    }
    let answering = next.run(Request::from_parts(parts, Body::from(body)));
    match is_once {
        true => {
            state
                .repeats
                .answer(form.finalize().into(), answering)
                .await
        }
        false => answering.await,
    }
}

impl Repeats {
    async fn answer<F>(&self, form: FormHash, answering: F) -> Response
    where
        F: Future<Output = Response> + Send + 'static,
    {
        match self.join(form, answering) {
            Ok(answer) => match answer.await {
                Some((parts, body)) => Response::from_parts(parts, Body::from(body)),
                None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            },
            Err(answering) => answering.await,
        }
    }

    /// Returns the response to the form, and begins it if this is the first one. Fails if too many are kept.
    fn join<F>(&self, form: FormHash, answering: F) -> Result<Answer, F>
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = kept.get(&form) {
            return Ok(answer.clone());
        }
        if kept.len() >= MAX_KEPT {
            return Err(answering);
        }
        // In a task of its own, because the browser drops the first request when it sends the second.
        let task = self.clone().keep(form, answering);
        let task = tokio::spawn(traces::in_current_spans(task));
        let answer = task.map(Result::ok).boxed().shared();
        kept.insert(form, answer.clone());
        Ok(answer)
    }

    /// Returns the response, and keeps it for a while if the form has changed something. Whoever corrects the cause of a
    /// failure may send the same form again.
    async fn keep(
        self,
        form: FormHash,
        answering: impl Future<Output = Response>,
    ) -> (Parts, Bytes) {
        let answered = AssertUnwindSafe(answering).catch_unwind().await;
        let response = answered.unwrap_or_else(problem::panicked);
        let (parts, body) = response.into_parts();
        // A page is in memory as a whole.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        if has_changed(&parts) {
            tokio::spawn(async move {
                sleep(KEPT).await;
                self.forget(form);
            });
        } else {
            self.forget(form);
        }
        (parts, body)
    }

    fn forget(&self, form: FormHash) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&form);
    }
}

/// Returns whether this is the response to a change. Strangers get none, so they can't use up the room.
fn has_changed(response: &Parts) -> bool {
    let is_of_viewer = response.extensions.get::<By>().is_some();
    let is_done =
        response.status.is_redirection() && is_of_viewer && !has_failed(&response.headers);
    // A confirmation replaces the session's secret, even if the change after it fails.
    response.status == StatusCode::CREATED || is_done || auth::sets_session(&response.headers)
}
