//! The pages, the server functions to which their forms post, and the static files.

mod account;
mod confirm;
mod forms;
mod openid;
mod second_factor;

use app::{ANSWER_FIELDS, AppError, Page, Query, Site, pages};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, LAST_MODIFIED, RETRY_AFTER, VARY},
        request::Parts,
    },
    middleware::{self, Next, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::{MethodRouter, get, post},
};
use backend::{Backend, Viewer, uploads::FORM_OVERHEAD};
use percent_encoding::percent_decode_str;
use tower_http::services::ServeDir;

pub use self::forms::{function_path, has_failed};
use crate::{
    auth::{self, By},
    bodies::{self, BodyLimits},
    busy::{Busy, Taken},
    limits::MAX_ANSWER_BYTES,
    problem::{self, Detail, Problem},
    repeats, response_time,
    state::AppState,
};

pub fn router(state: &AppState) -> Router<AppState> {
    let files = ServeDir::new(&state.site_root)
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip()
        .call_fallback_on_method_not_allowed(true)
        .fallback(
            get(not_found)
                .fallback(problem::method_not_allowed)
                .with_state(state.clone()),
        );
    let at_most = |bytes| from_fn_with_state(BodyLimits::new(&state.limits, bytes), bodies::limit);
    let max_form = state.limits.max_body_bytes;
    // JSON in a form may be percent-encoded, with up to three characters for one.
    let max_format = state.limits.max_saved_format_bytes.saturating_mul(3);
    let max_file = state
        .backend
        .max_upload_bytes()
        .saturating_add(FORM_OVERHEAD);
    let upload = BodyLimits::of_upload(&state.limits, max_file);
    let upload = from_fn_with_state(upload, bodies::limit);
    let function = || post(forms::server_function);
    let require = || from_fn_with_state(state.clone(), auth::require_on_page);
    let form = |handler: MethodRouter<AppState>| handler.layer(at_most(max_form));
    let once = || from_fn_with_state(state.clone(), repeats::answer_once);
    // A form with a page of its own as the response. Links and the choice of a theme may lead back to its URL with GET.
    let page = |handler: MethodRouter<AppState>| get(redirect_to_parent).merge(handler);
    let for_everybody = Router::new()
        .route(
            "/sign-in",
            get(account::show_sign_in).merge(form(post(account::sign_in))),
        )
        .route(
            "/set-password",
            get(account::show_set_password).merge(form(post(account::set_password))),
        )
        .route(
            "/sign-in/code",
            get(second_factor::show_code).merge(form(post(second_factor::sign_in).layer(once()))),
        )
        .route("/sign-in/openid", get(openid::begin))
        .route("/sign-in/openid/callback", get(openid::callback))
        .route("/sign-in/openid/sign-out", get(openid::sign_out))
        .route("/users/{id}/session", get(account::show_session))
        .route("/theme", form(post(forms::choose_theme)));
    let for_viewers = Router::new()
        .route("/", get(home))
        .route("/users", get(users))
        .route("/jobs/delete", get(delete_jobs))
        .route("/find", get(find))
        .route("/formats", get(formats))
        .route("/users/{id}", get(user))
        .route("/jobs/{id}", get(job))
        .route("/jobs/{id}/rows/{number}", get(job_row))
        .route("/account", get(account::show_account))
        .route("/accounts", get(account::show_members))
        .route("/audit", get(account::show_audit))
        .layer(from_fn_with_state(state.auth, forms::forget_shown))
        .route("/sign-out", form(post(account::sign_out)))
        .route(
            "/account/tokens/{id}/revoke",
            form(post(account::revoke_token)),
        )
        .route("/confirm", get(confirm::show))
        .route("/account/second-factor", get(second_factor::show))
        .route(
            "/jobs/{id}/answers",
            page(post(answer).layer(at_most(MAX_ANSWER_BYTES))),
        )
        .route(
            "/jobs/commands",
            post(forms::change_jobs).layer(at_most(max_form)),
        )
        .route("/rpc/import-format", function().layer(at_most(max_format)))
        .route("/rpc/update-format", function().layer(at_most(max_format)))
        .route_layer(require());
    let new_password = Router::new()
        .route("/account/password", page(post(account::change_password)))
        .route_layer(require())
        .route_layer(once())
        .route_layer(at_most(max_form));
    // Changes that are made only after their sender has confirmed who they are.
    let confirmed = Router::new()
        .route("/accounts", post(account::create_member))
        .route(
            "/account/sessions/{id}/end",
            page(post(account::end_session)),
        )
        .route(
            "/account/end-other-sessions",
            page(post(account::end_other_sessions)),
        )
        .route("/account/tokens", page(post(account::create_token)))
        .route("/account/second-factor", post(second_factor::begin))
        .route(
            "/account/second-factor/code",
            page(post(second_factor::turn_on)),
        )
        .route(
            "/account/second-factor/off",
            page(post(second_factor::turn_off)),
        )
        .route(
            "/users/{id}/password-link",
            page(post(account::create_password_link)),
        )
        .route(
            "/users/{id}/forget-provider",
            page(post(account::forget_provider)),
        )
        .route("/users/{id}/end-access", page(post(account::end_access)))
        .route("/users/{id}/lock", page(post(account::lock)))
        .route("/users/{id}/unlock", page(post(account::unlock)))
        .route("/users/{id}/role", page(post(account::set_role)))
        .route(
            "/users/{id}/remove-second-factor",
            page(post(second_factor::remove)),
        )
        .route("/rpc/{name}", function())
        .route_layer(from_fn_with_state(state.clone(), confirm::ask))
        .route_layer(require())
        .route_layer(once())
        .route_layer(at_most(max_form));
    let in_time = from_fn_with_state(state.limits.response_timeout(), response_time::limit);
    let uploads = Router::new()
        .route("/rpc/upload-file", function().layer(upload))
        .route_layer(require());
    for_viewers
        .merge(new_password)
        .merge(confirmed)
        .merge(for_everybody)
        .route_layer(in_time)
        .merge(uploads)
        // Each route above has its own limit.
        .layer(DefaultBodyLimit::disable())
        .fallback_service(
            Router::new()
                .fallback_service(files)
                .layer(from_fn_with_state(
                    state.site.clone(),
                    refuse_impossible_names,
                )),
        )
        .layer(middleware::from_fn(set_cache_headers))
}

/// The query of a page's URL, and the error of the form that led there.
struct PageQuery(Query);

impl<S: Sync> FromRequestParts<S> for PageQuery {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        Ok(Self(match forms::error_of(&parts.headers) {
            Some(error) => query.with_form_error(error),
            None => query,
        }))
    }
}

/// The viewer of a page, and the site as they see it.
struct Seen {
    site: Site,
    viewer: Viewer,
}

impl FromRequestParts<AppState> for Seen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let By(viewer) = By::from_request_parts(parts, state).await?;
        let site = forms::wanted(&state.site, &parts.headers).seen_by(&viewer);
        Ok(Self { site, viewer })
    }
}

/// The state for one request, with the site as the requesting browser wants it.
struct RequestState(AppState);

impl FromRequestParts<AppState> for RequestState {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, Self::Rejection> {
        let site = forms::wanted(&state.site, &parts.headers);
        let state = state.clone();
        Ok(Self(AppState { site, ..state }))
    }
}

async fn home(
    State(state): State<AppState>,
    Seen { site, viewer }: Seen,
    PageQuery(query): PageQuery,
) -> Response {
    if let Some(user_id) = viewer.owner() {
        // Members see only themselves.
        return Redirect::to(&format!("/users/{user_id}")).into_response();
    }
    let Ok(_turn) = turn_to_search(&state, &viewer, &query).await else {
        return busy(&site).into_response();
    };
    let page = pages::home(&site, &state.backend, &viewer, &query).await;
    page.into_response()
}

/// Waits for a turn if the page searches. Other pages need none.
async fn turn_to_search(
    state: &AppState,
    viewer: &Viewer,
    query: &Query,
) -> Result<Option<Taken>, Busy> {
    match query.get("q").trim() {
        "" => Ok(None),
        _ => state.turns.searches.take(viewer).await.map(Some),
    }
}

fn busy(site: &Site) -> Page {
    pages::refused(site, StatusCode::SERVICE_UNAVAILABLE, Busy::SENTENCE)
}

async fn users(
    State(state): State<AppState>,
    Seen { site, viewer }: Seen,
    PageQuery(query): PageQuery,
) -> Response {
    if let Some(user_id) = viewer.owner() {
        return Redirect::to(&format!("/users/{user_id}")).into_response();
    }
    let Ok(_turn) = turn_to_search(&state, &viewer, &query).await else {
        return busy(&site).into_response();
    };
    let page = pages::users(&site, &state.backend, &viewer, &query).await;
    page.into_response()
}

async fn delete_jobs(
    State(backend): State<Backend>,
    Seen { site, viewer }: Seen,
    request: Request,
) -> Page {
    let list = forms::list_before(&request);
    let query = request.uri().query().unwrap_or_default();
    pages::delete_jobs(&site, &backend, &viewer, query, list).await
}

async fn find(
    State(state): State<AppState>,
    Seen { site, viewer }: Seen,
    PageQuery(query): PageQuery,
) -> Page {
    let Ok(_turn) = turn_to_search(&state, &viewer, &query).await else {
        return busy(&site);
    };
    pages::find(&site, &state.backend, &viewer, &query).await
}

async fn formats(Seen { site, .. }: Seen) -> Page {
    pages::formats(&site)
}

/// The id in a page's URL. An id that isn't UTF-8 belongs to nothing.
type Id = Result<Path<String>, axum::extract::rejection::PathRejection>;

async fn user(
    State(state): State<AppState>,
    Seen { site, viewer }: Seen,
    id: Id,
    PageQuery(query): PageQuery,
) -> Page {
    let Ok(Path(id)) = id else {
        return pages::not_found(&site);
    };
    let Ok(_turn) = turn_to_search(&state, &viewer, &query).await else {
        return busy(&site);
    };
    pages::user(&site, &state.backend, &viewer, &id, &query).await
}

async fn job(
    State(state): State<AppState>,
    Seen { site, viewer }: Seen,
    id: Id,
    PageQuery(query): PageQuery,
) -> Page {
    let Ok(Path(id)) = id else {
        return pages::not_found(&site);
    };
    let Ok(_turn) = turn_to_search(&state, &viewer, &query).await else {
        return busy(&site);
    };
    pages::job(&site, &state.backend, &viewer, &id, &query).await
}

async fn job_row(
    State(backend): State<Backend>,
    Seen { site, viewer }: Seen,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Page {
    match path {
        Ok(Path((id, number))) => pages::job_row(&site, &backend, &viewer, &id, &number).await,
        Err(_) => pages::not_found(&site),
    }
}

async fn answer(
    State(state): State<AppState>,
    Seen { site, viewer }: Seen,
    id: Id,
    request: Request,
) -> Result<Redirect, Response> {
    let Ok(Path(id)) = id else {
        return Err(pages::not_found(&site).into_response());
    };
    let fields = forms::fields(request, &state, &ANSWER_FIELDS);
    let fields = fields.await.map_err(IntoResponse::into_response)?;
    let to = pages::answer(&site, &state.backend, &viewer, &id, &fields)
        .await
        .map_err(IntoResponse::into_response)?;
    Ok(Redirect::to(&to))
}

/// Redirects from a form's URL to its page, which is above it.
async fn redirect_to_parent(uri: Uri) -> Redirect {
    let above = uri.path().rsplit_once('/').map_or("/", |(above, _)| above);
    match above.starts_with("/account/") {
        true => Redirect::to("/account"),
        false => Redirect::to(above),
    }
}

async fn not_found(RequestState(state): RequestState) -> Page {
    pages::not_found(&state.site)
}

/// Shows a problem as a page to people with a browser, except below `/api`.
pub async fn show_problem(State(site): State<Site>, request: Request, next: Next) -> Response {
    let is_person = !request.uri().path().starts_with("/api/") && accepts_html(request.headers());
    let is_page = request.method() == Method::GET;
    let site = forms::wanted(&site, request.headers());
    let response = next.run(request).await;
    let Some(Detail(detail)) = response.extensions().get().filter(|_| is_person) else {
        return response;
    };
    let site = match response.extensions().get() {
        Some(By(viewer)) => site.seen_by(viewer),
        None => site,
    };
    let page = match response.status() {
        StatusCode::SERVICE_UNAVAILABLE if is_page => {
            pages::failure(&site, AppError::unavailable(detail))
        }
        status => pages::refused(&site, status, detail),
    };
    let mut page = page.into_response();
    for name in [ALLOW, RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

/// Returns whether the response is for a person with a browser.
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The maximum length of a file name on common file systems, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// The maximum length of a path, in bytes.
const MAX_PATH_BYTES: usize = 4095;

/// Responds with 404 to names that no file system can contain.
async fn refuse_impossible_names(
    State(site): State<Site>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let is_impossible = path.len() > MAX_PATH_BYTES / 2
        || path.split('/').any(|name| {
            percent_decode_str(name).count() > MAX_NAME_BYTES - ".br".len()
                || percent_decode_str(name).any(|byte| byte == 0)
        });
    match is_impossible {
        true => pages::not_found(&forms::wanted(&site, request.headers())).into_response(),
        false => next.run(request).await,
    }
}

/// Lets browsers keep files in a folder named after its content forever. They revalidate any other file each time.
async fn set_cache_headers(request: Request, next: Next) -> Response {
    let forever = is_named_after_content(request.uri().path());
    let mut response = next.run(request).await;
    // Only files have a modification date.
    if response.headers().contains_key(LAST_MODIFIED) {
        let how_long = match forever {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(how_long));
        headers.insert(VARY, ACCEPT_ENCODING.into());
    }
    response
}

/// Returns whether the file is in a folder named after its content, as in `/pkg/KkH0-pvZIzSmmKGqTwNLNw/batchline.css`.
fn is_named_after_content(path: &str) -> bool {
    let file = path.strip_prefix("/pkg/");
    file.and_then(|file| file.split_once('/'))
        .is_some_and(|(hash, _)| hash.len() == 22)
}

#[cfg(test)]
mod tests {
    use super::is_named_after_content;

    #[test]
    fn only_files_in_a_folder_with_a_hash_are_named_after_their_content() {
        assert!(is_named_after_content(
            "/pkg/KkH0-pvZIzSmmKGqTwNLNw/batchline.css"
        ));
        assert!(!is_named_after_content("/pkg/batchline.css"));
        assert!(!is_named_after_content("/pkg/batchline_bg.wasm.d.ts"));
        assert!(!is_named_after_content("/favicon.svg"));
        assert!(!is_named_after_content("/users/1"));
    }
}
