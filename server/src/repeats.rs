//! One response to a form that is sent twice, as a double click does without JavaScript. The browser drops the first
//! response and shows the second. A form that confirms who somebody is ends the secret of their session, with which the
//! second one comes, too. So both get the same response, and the change is made once.

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
    http::{Method, StatusCode, header::SET_COOKIE, response::Parts},
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

use crate::{auth, problem, state::AppState};

/// How long a response is kept.
const KEPT: Duration = Duration::from_secs(10);
/// The maximum number of responses that are kept. Further forms get responses of their own.
const MAX_KEPT: usize = 200;

/// The responses to recent forms, by the hash of everything that such a form contains.
#[derive(Clone, Default)]
pub struct Repeats(Arc<Mutex<HashMap<FormHash, Answer>>>);

type FormHash = [u8; 32];
/// `None` if the server shuts down.
type Answer = Shared<BoxFuture<'static, Option<(Parts, Bytes)>>>;

/// Passes a form on, unless it confirms who its sender is and was sent a moment ago. Then sends the same response again.
///
/// Runs before the session is looked up, because its secret may have ended. Whoever sends the same secret, password and
/// code again could have received the first response, too.
pub async fn answer_once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let secret = auth::session_secret(request.headers(), request.extensions());
    let Some(secret) = secret.filter(|_| request.method() == Method::POST) else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    // The layer around this one limits it, and responds with 413 or 408 in place of this.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let confirms = form_urlencoded::parse(&body).any(|(name, _)| name == PendingForm::PASSWORD);
    let mut form = Sha256::new();
    for part in [secret.as_bytes(), parts.uri.path().as_bytes(), &body[..]] {
        form.update(Sha256::digest(part));
    }
    let answering = next.run(Request::from_parts(parts, Body::from(body)));
    match confirms {
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

    /// Returns the response, and keeps it for a while if it sets a cookie. It does if the form has confirmed who its sender
    /// is, because their session then has a new secret.
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
        if parts.headers.contains_key(SET_COOKIE) {
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
