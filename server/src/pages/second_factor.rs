//! Pages and plain forms of two-step sign-in. They exist only if people sign in with passwords.

use app::{AppError, Notice, Page, pages};
use axum::{
    Extension,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;
use backend::accounts::{self, HalfSession};
use domain::{AuditKind, InvalidField};
use url::form_urlencoded;

use super::{
    PageQuery, RequestState,
    account::{
        Fields, FirstCode, Sender, SignInCode, back_to_sign_in_of, failed, id_in,
        password_lifetimes,
    },
};
use crate::{
    auth::{self, By},
    peers::Ends,
    state::AppState,
};

/// Returns the path of the page for the code, which continues to `next`.
pub(super) fn code_path(next: &str) -> String {
    match next {
        "/" => "/sign-in/code".to_owned(),
        next => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("next", next);
            format!("/sign-in/code?{}", query.finish())
        }
    }
}

pub async fn show_code(
    RequestState(state): RequestState,
    from: Sender,
    PageQuery(query): PageQuery,
) -> Result<Response, Page> {
    password_lifetimes(&state)?;
    let next = auth::local_path(query.get("next"));
    match auth::half_session(&from.headers, &from.extensions) {
        Some(_) => Ok(pages::enter_code(&state.site, StatusCode::OK, &next, None).into_response()),
        // Leads to signing in, unless they are signed in.
        None => Ok(Redirect::to(&next).into_response()),
    }
}

/// Signs in with a code after the right password.
pub async fn sign_in(
    RequestState(state): RequestState,
    from: Sender,
    Extension(Ends { client, .. }): Extension<Ends>,
    form: Fields<SignInCode>,
) -> Result<Response, Page> {
    let lifetimes = password_lifetimes(&state)?;
    let next = auth::local_path(form.get("next"));
    let refused = |status, error| pages::enter_code(&state.site, status, &next, Some(error));
    let secret = auth::half_session(&from.headers, &from.extensions).unwrap_or_default();
    let owner = match accounts::half_session_owner(&state.backend, &secret).await {
        Ok(owner) => owner,
        Err(error) => {
            let error = AppError::from(error);
            return Err(refused(error.kind.status(), error));
        }
    };
    let Some(email) = owner else {
        return Ok(ended(&state, &from, &next));
    };
    if let Err(problem) = state.sign_in_rate.count(client, &email) {
        if state.audited_refusals.allows(AuditKind::SignIn, client) {
            accounts::note_too_many_sign_ins(&state.backend, Some(&email), Some(client)).await;
        }
        let error = AppError::unavailable(problem.detail());
        let page = refused(problem.status(), error);
        return Ok(problem.with_page(page));
    }
    let client = auth::client(&from.headers, &from.extensions);
    let replaced = auth::session_secret(&from.headers, &from.extensions);
    let finished = accounts::finish_sign_in(
        &state.backend,
        lifetimes,
        &secret,
        form.get("code"),
        &client,
        replaced.as_deref(),
    );
    match finished.await {
        Ok(HalfSession::SignedIn(session)) => {
            let cookie = auth::session_cookie(state.auth, &from.extensions, Some(&session.secret));
            let forgotten = auth::half_session_cookie(&from.extensions, None);
            let jar = CookieJar::new().add(cookie).add(forgotten);
            Ok((jar, Redirect::to(&next)).into_response())
        }
        Ok(HalfSession::WrongCode) => {
            let sentence =
                "That code isn't right, or was used before. Enter the one that your app shows now.";
            let error = AppError::from(InvalidField::new("code", sentence));
            Err(refused(error.kind.status(), error))
        }
        Ok(HalfSession::Ended) => Ok(ended(&state, &from, &next)),
        Err(error) => {
            let error = AppError::from(error);
            Err(refused(error.kind.status(), error))
        }
    }
}

/// Returns the page on which signing in starts again.
fn ended(state: &AppState, from: &Sender, next: &str) -> Response {
    let sentence = "This sign-in took too long, or too many codes were tried. Start again.";
    let shown = pages::SignIn {
        next,
        error: Some(AppError::forbidden(sentence)),
        ..state.sign_in_page()
    };
    let page = pages::sign_in(&state.site, StatusCode::FORBIDDEN, shown);
    let forgotten = auth::half_session_cookie(&from.extensions, None);
    (CookieJar::new().add(forgotten), page).into_response()
}

pub async fn show(RequestState(state): RequestState, By(viewer): By) -> Result<Page, Page> {
    password_lifetimes(&state)?;
    let factor = accounts::second_factor(&state.backend, &viewer)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    let site = state.site.seen_by(&viewer);
    match factor {
        Some(factor) => Ok(pages::second_factor(&site, factor.is_on)),
        None => Err(pages::not_found(&site)),
    }
}

/// Creates a key and shows it.
pub async fn begin(RequestState(state): RequestState, By(viewer): By) -> Result<Page, Page> {
    password_lifetimes(&state)?;
    let key = accounts::new_second_factor(&state.backend, &viewer)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    let site = state.site.seen_by(&viewer);
    Ok(pages::new_second_factor(
        &site,
        StatusCode::CREATED,
        key,
        None,
    ))
}

/// Checks the first code, and shows the recovery codes.
pub async fn turn_on(
    RequestState(state): RequestState,
    By(viewer): By,
    form: Fields<FirstCode>,
) -> Result<Page, Page> {
    password_lifetimes(&state)?;
    let site = state.site.seen_by(&viewer);
    let turned_on =
        accounts::turn_on_second_factor(&state.backend, &viewer, form.get("code")).await;
    match turned_on {
        Ok(codes) => Ok(pages::recovery_codes(&site, codes)),
        Err(error @ backend::Error::Invalid(_)) => {
            let key = accounts::unused_key(&state.backend, &viewer)
                .await
                .map_err(|error| failed(&state, &viewer, error))?;
            let error = AppError::from(error);
            match key {
                Some(key) => {
                    let status = error.kind.status();
                    Err(pages::new_second_factor(&site, status, key, Some(error)))
                }
                None => Err(pages::refused(&site, error.kind.status(), &error.message)),
            }
        }
        Err(error) => Err(failed(&state, &viewer, error)),
    }
}

pub async fn turn_off(RequestState(state): RequestState, By(viewer): By) -> Result<Redirect, Page> {
    password_lifetimes(&state)?;
    if state.sign_in.requires_second_factor {
        let sentence = "Everybody here needs two-step sign-in.";
        let site = state.site.seen_by(&viewer);
        return Err(pages::refused(&site, StatusCode::CONFLICT, sentence));
    }
    accounts::turn_off_second_factor(&state.backend, &viewer)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    Ok(Redirect::to("/account?after=second-factor-off"))
}

/// Removes the second factor of a user who has lost it.
pub async fn remove(
    RequestState(state): RequestState,
    By(viewer): By,
    from: Sender,
    Path(id): Path<String>,
) -> Result<Response, Page> {
    password_lifetimes(&state)?;
    let user_id = id_in(&id, &state, &viewer)?;
    accounts::remove_second_factor(&state.backend, &viewer, user_id)
        .await
        .map_err(|error| failed(&state, &viewer, error))?;
    let notice = Notice::new("The second factor is removed. The user is signed out everywhere.");
    let user = format!("/users/{user_id}");
    Ok(back_to_sign_in_of(&user, notice, &state, &from))
}
