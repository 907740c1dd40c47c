//! The HTML document around the pages, and the data from which pages are rendered.

use std::{collections::HashMap, path::Path, sync::Arc};

use axum::{
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_SECURITY_POLICY, REFRESH},
    },
    response::{Html, IntoResponse, Response},
};
use backend::Viewer;
use domain::UserId;
use hydration_context::SsrSharedContext;
use leptos::{
    nonce::{provide_nonce, use_nonce},
    prelude::*,
    reactive::owner::Owner,
    server_fn::{ServerFn, error::ServerFnUrlError},
};
use url::{Url, form_urlencoded};

use crate::{
    AppError, ErrorKind, Notice,
    components::{Logo, NoticePlace, Shortcuts, document_title, error_title},
    islands::CheckModule,
    pages::FindForm,
};

/// Hides what works only with JavaScript.
const WITHOUT_SCRIPT: &str = ".scripted { display: none; }";
/// The SHA-256 of [`WITHOUT_SCRIPT`], in the form of a content security policy.
const WITHOUT_SCRIPT_HASH: &str = "sha256-5g33qJvit3QboORU6xkKckAwsUXhv+xIskhTuKN7Z+U=";

/// A rendered page.
pub struct Page {
    pub status: StatusCode,
    /// The whole document.
    pub html: String,
    /// Authorises the scripts and styles in the document.
    pub(crate) nonce: String,
    /// The number of seconds after which a browser reloads the page by itself.
    pub(crate) reload_after_seconds: Option<u32>,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let nonce = self.nonce;
        // Modules are files of this site. The first script is in the document and has a nonce. The web worker starts
        // from a blob with a line written by a script of this site, and imports a file, which counts as a worker
        // source, too. The style also has a hash, because a page that a script fetches has a different nonce.
        let policy = format!(
            "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; \
             style-src 'self' 'nonce-{nonce}' '{WITHOUT_SCRIPT_HASH}'; img-src 'self' data:; \
             connect-src 'self'; worker-src 'self' blob:; object-src 'none'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.reload_after_seconds {
            headers.insert(REFRESH, seconds.into());
        }
        (
            self.status,
            [(CONTENT_SECURITY_POLICY, policy)],
            headers,
            Html(self.html),
        )
            .into_response()
    }
}

/// The query of a page's address.
#[derive(Debug, Clone, Default)]
pub struct Query {
    values: HashMap<String, String>,
    /// The answers of a form to which the page responds, and their error. Never taken from the address.
    answers: Vec<(String, String)>,
    answer_error: Option<String>,
    /// The error of a form that led to the page. Never taken from the address.
    posted: Option<PostedError>,
}

/// The error of a form that was posted to a server function, for the page that shows it.
#[derive(Debug, Clone)]
pub struct PostedError {
    /// The path of the server function.
    path: String,
    error: AppError,
}

impl PostedError {
    /// Returns the error of a form that was posted to this path.
    pub fn new(path: &str, error: AppError) -> Self {
        Self {
            path: path.to_owned(),
            error,
        }
    }

    /// Returns whether the user must confirm who they are first.
    pub fn is_unconfirmed(&self) -> bool {
        self.error.kind == ErrorKind::Unconfirmed
    }

    /// Extracts the error that server_fn put into an address.
    pub fn take_from(address: &mut Url) -> Option<Self> {
        let (taken, kept): (Vec<_>, Vec<_>) = address
            .query_pairs()
            .into_owned()
            .partition(|(name, _)| name == "__path" || name == "__err");
        let value = |name: &str| taken.iter().find(|(taken, _)| taken == name);
        let ((_, path), (_, error)) = (value("__path")?, value("__err")?);
        let posted = Self {
            path: path.clone(),
            error: ServerFnUrlError::decode_err(error),
        };
        address.set_query(None);
        if !kept.is_empty() {
            address.query_pairs_mut().extend_pairs(kept);
        }
        Some(posted)
    }

    /// Returns the error as the value of a cookie. Omits the typed values if it would exceed `bytes`.
    pub fn to_text(mut self, bytes: usize) -> String {
        let text = |posted: &Self| {
            let error = serde_json::to_string(&posted.error).unwrap_or_default();
            form_urlencoded::Serializer::new(String::new())
                .append_pair("path", &posted.path)
                .append_pair("error", &error)
                .finish()
        };
        let whole = text(&self);
        if whole.len() <= bytes {
            return whole;
        }
        self.error.typed.clear();
        text(&self)
    }

    /// Parses the output of [`Self::to_text`].
    pub fn from_text(text: &str) -> Option<Self> {
        let mut values: HashMap<_, _> = form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect();
        Some(Self {
            path: values.remove("path")?,
            error: serde_json::from_str(&values.remove("error")?).ok()?,
        })
    }
}

impl Query {
    /// Accepts any text: what can't be decoded is replaced. Of several values with the same name the last one wins.
    pub fn parse(query: &str) -> Self {
        Self {
            values: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            ..Self::default()
        }
    }

    /// Adds the error of the form that led to the page.
    pub fn with_form_error(self, error: PostedError) -> Self {
        Self {
            posted: Some(error),
            ..self
        }
    }

    /// Adds the answers to which the page responds, and their error.
    pub(crate) fn with_answers(self, answers: &[(String, String)], error: Option<String>) -> Self {
        Self {
            answers: answers.to_vec(),
            answer_error: error,
            ..self
        }
    }

    pub(crate) fn answers(&self) -> &[(String, String)] {
        &self.answers
    }

    /// Returns the error of the answers to which the page responds.
    pub(crate) fn answer_error(&self) -> Option<String> {
        self.answer_error.clone()
    }

    /// Returns whether the page shows the error of a form.
    fn has_form_error(&self) -> bool {
        self.answer_error.is_some() || self.posted.is_some()
    }

    /// Returns the title of a page with this query. It first says that a form has an error.
    pub(crate) fn title(&self, title: &str) -> String {
        match self.has_form_error() {
            true => error_title(title),
            false => title.to_owned(),
        }
    }

    /// Returns a value, or an empty text if it is absent, as forms send it.
    pub fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Returns the error of a form that was posted to the server function `S` and led to this page.
    pub fn posted<S: ServerFn<Error = AppError>>(&self) -> Option<AppError> {
        let posted = self.posted.as_ref();
        let posted = posted.filter(|posted| posted.path == S::PATH)?;
        Some(posted.error.clone())
    }
}

/// The colour scheme of pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// The browser's preference.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Parses the output of [`Self::as_str`]. Anything else is [`Self::System`].
    pub fn parse(text: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|theme| theme.as_str() == text).unwrap_or_default()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Returns the palettes of the style sheet that a page may use, in the syntax of HTML's `color-scheme`.
    fn palettes(self) -> &'static str {
        match self {
            Self::System => "light dark",
            theme => theme.as_str(),
        }
    }
}

/// What all pages share.
#[derive(Debug, Clone)]
pub struct Site {
    theme: Theme,
    /// The notice of the form that led to the page.
    notice: Option<Notice>,
    /// The host that the browser requested.
    host: String,
    stylesheet: Arc<str>,
    /// The script that makes a page live.
    loader: Arc<str>,
    pub(crate) check: CheckModule,
    /// The signed-in user, if signing in is required.
    account: Option<SignedIn>,
    /// Whether users can sign in with passwords, if signing in is required.
    pub(crate) has_passwords: bool,
    /// Whether users can sign in with an OpenID Connect provider.
    pub(crate) has_provider: bool,
    /// Whether users with a password must have a second factor.
    pub(crate) requires_second_factor: bool,
}

/// A signed-in user as pages show it.
#[derive(Debug, Clone)]
struct SignedIn {
    user_id: UserId,
    email: String,
    is_admin: bool,
}

impl Site {
    /// Returns the site built in the directory `root`. Its file `folder.txt` names the folder of the files that pages
    /// load. Sites built by `cargo leptos` don't have it.
    pub fn new(root: &Path) -> Self {
        if !root.join("pkg").exists() {
            tracing::warn!("there is no built site: pages have neither style nor script");
        }
        let folder = match std::fs::read_to_string(root.join("folder.txt")) {
            Ok(hash) => format!("/pkg/{}", hash.trim()),
            Err(_) => "/pkg".to_owned(),
        };
        let path = |file: &str| format!("{folder}/{file}");
        let function = include_str!("loader.js").trim_end();
        Self {
            theme: Theme::default(),
            notice: None,
            host: String::new(),
            stylesheet: path("batchline.css").into(),
            account: None,
            has_passwords: true,
            has_provider: false,
            requires_second_factor: false,
            loader: format!(
                "{function}({:?}, {:?});",
                path("batchline.js"),
                path("batchline.wasm")
            )
            .into(),
            check: CheckModule {
                script: path("check.js"),
                wasm: path("check.wasm"),
            },
        }
    }

    /// Sets how users sign in: with passwords, with an OpenID Connect provider, or with both.
    pub fn with_sign_in(self, has_passwords: bool, has_provider: bool) -> Self {
        Self {
            has_passwords,
            has_provider,
            ..self
        }
    }

    /// Sets whether users with a password must have a second factor.
    pub fn with_second_factor(self, is_required: bool) -> Self {
        Self {
            requires_second_factor: is_required,
            ..self
        }
    }

    /// Returns the site for a request: its theme, its host, and the notice of the form that led there.
    pub fn asked_for(&self, theme: Theme, notice: Option<Notice>, host: &str) -> Self {
        Self {
            theme,
            notice,
            host: host.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the email address of the signed-in user, or an empty text.
    pub(crate) fn account_email(&self) -> String {
        let account = self.account.as_ref();
        account
            .map(|account| account.email.clone())
            .unwrap_or_default()
    }

    pub(crate) fn host(&self) -> String {
        self.host.clone()
    }

    /// Returns whether there is a notice, which is shown only once.
    pub(crate) fn has_notice(&self) -> bool {
        self.notice.is_some()
    }

    /// Returns the site for this viewer.
    pub fn seen_by(&self, viewer: &Viewer) -> Self {
        let account = viewer.account().map(|account| SignedIn {
            user_id: account.user_id,
            email: account.email.clone(),
            is_admin: viewer.is_admin(),
        });
        Self {
            account,
            ..self.clone()
        }
    }

    /// Returns the pages that always exist, by address and name.
    pub(crate) fn places(&self) -> Vec<(&'static str, &'static str)> {
        let mut places = match self.lists_users() {
            true => vec![("/", "All jobs"), ("/users", "Users")],
            false => vec![("/", "Your files")],
        };
        places.extend([("/formats", "Supported formats"), ("/api/docs", "API")]);
        if let Some(account) = &self.account {
            places.push(("/account", "Account"));
            if account.is_admin {
                places.extend([("/accounts", "Users and roles"), ("/audit", "Audit")]);
            }
        }
        places
    }

    /// Returns whether there is a list of users to return to.
    pub(crate) fn lists_users(&self) -> bool {
        self.account.as_ref().is_none_or(|account| account.is_admin)
    }

    /// Renders a page. Calls `main` in the reactive owner that the islands' signals need.
    pub(crate) fn page<V: IntoView + 'static>(
        &self,
        status: StatusCode,
        title: &str,
        main: impl FnOnce() -> V,
    ) -> Page {
        self.render(status, title, None, false, main)
    }

    /// Like [`Self::live_page`]. With JavaScript, the title is updated when the page is fetched again, unless it says
    /// that a form has an error.
    pub(crate) fn list_page<V: IntoView + 'static>(
        &self,
        query: &Query,
        title: &str,
        refresh: Option<String>,
        main: impl FnOnce() -> V,
    ) -> Page {
        let title = query.title(title);
        let is_title_part = !query.has_form_error();
        self.render(StatusCode::OK, &title, refresh, is_title_part, main)
    }

    /// Like [`Self::page`]. Without JavaScript the page reloads as `refresh` says: `2`, or `60;url=/jobs/7`.
    pub(crate) fn live_page<V: IntoView + 'static>(
        &self,
        status: StatusCode,
        title: &str,
        refresh: Option<String>,
        main: impl FnOnce() -> V,
    ) -> Page {
        self.render(status, title, refresh, false, main)
    }

    fn render<V: IntoView + 'static>(
        &self,
        status: StatusCode,
        title: &str,
        refresh: Option<String>,
        is_title_part: bool,
        main: impl FnOnce() -> V,
    ) -> Page {
        let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new_islands())));
        let (html, nonce) = owner.with(|| {
            provide_nonce();
            let nonce = use_nonce().expect("it was provided");
            let html = self.document(title, refresh, is_title_part, main().into_any());
            let html = html.to_html();
            (html, nonce.to_string())
        });
        owner.unset_with_forced_cleanup();
        Page {
            status,
            html,
            nonce,
            reload_after_seconds: None,
        }
    }

    fn document(
        &self,
        title: &str,
        refresh: Option<String>,
        is_title_part: bool,
        main: AnyView,
    ) -> impl IntoView + use<> {
        let title = document_title(title);
        let account = self.account.as_ref().map(|account| {
            let who = format!("Signed in as {}", account.email);
            view! {
                <a href="/account" title=who>
                    "Account"
                </a>
                // With JavaScript, the page is left when the session of this user has ended (`browser::session`).
                <form method="post" action="/sign-out" data-user=account.user_id.get()>
                    <button class="link-button">"Sign out"</button>
                </form>
            }
        });
        let refresh =
            refresh.map(|refresh| view! { <meta http-equiv="refresh" content=refresh /> });
        view! {
            <!DOCTYPE html>
            <html lang="en">
                <head>
                    <meta charset="utf-8" />
                    <meta name="viewport" content="width=device-width, initial-scale=1" />
                    <title id="title" data-part=is_title_part>
                        {title}
                    </title>
                    <meta
                        name="description"
                        content="Upload CSV files of transactions. Batchline checks every row in the background and tells you which ones to fix."
                    />
                    // The style sheet depends on it.
                    <meta
                        name="color-scheme"
                        id="color-scheme"
                        data-part
                        content=self.theme.palettes()
                    />
                    <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                    <link rel="stylesheet" href=self.stylesheet.to_string() />
                    <script type="module" nonce=use_nonce() inner_html=self.loader.to_string()></script>
                    // Hides what works only with JavaScript.
                    <noscript>
                        <style nonce=use_nonce() inner_html=WITHOUT_SCRIPT></style>
                        {refresh}
                    </noscript>
                </head>
                <body>
                    <a class="skip" href="#main">
                        "Skip to content"
                    </a>
                    <header class="site-header">
                        <a class="wordmark" href="/" aria-keyshortcuts="h">
                            <Logo />
                            "Batchline"
                        </a>
                        <nav aria-label="Site">
                            <a href="/find" id="find" aria-keyshortcuts="Control+K Meta+K">
                                "Find"
                            </a>
                            <Shortcuts />
                            <a href="/api/docs">"API"</a>
                            {account}
                        </nav>
                    </header>
                    <NoticePlace notice=self.notice.clone() />
                    <main id="main">{main}</main>
                    {foot(self.theme)}
                    <Palette />
                    // What has changed in place, and why something couldn't be done.
                    <p class="visually-hidden" role="status" id="announcement"></p>
                    <p class="connection" role="alert" id="trouble"></p>
                </body>
            </html>
        }
    }
}

/// In the browser, `/find` is shown in it (`browser::palette`).
#[component]
fn Palette() -> impl IntoView {
    view! {
        <dialog id="palette" closedby="any" aria-label="Find">
            <FindForm search=String::new() />
            <div class="found">
                <p role="status"></p>
                <ul></ul>
            </div>
            <button
                type="button"
                class="button button-small"
                commandfor="palette"
                command="close"
            >
                "Close"
            </button>
        </dialog>
    }
}

/// The theme is chosen by a form, so the server knows it before the page is shown and nothing flashes.
fn foot(current: Theme) -> impl IntoView {
    let choice = |theme: Theme| {
        let name = match theme {
            Theme::System => "System",
            Theme::Light => "Light",
            Theme::Dark => "Dark",
        };
        view! {
            <button
                name="theme"
                value=theme.as_str()
                aria-pressed=if theme == current { "true" } else { "false" }
            >
                {name}
            </button>
        }
    };
    view! {
        <footer class="site-footer" id="foot" data-part>
            <form method="post" action="/theme" data-in-place>
                <div role="group" aria-labelledby="theme">
                    <span id="theme">"Theme"</span>
                    {Theme::ALL.map(choice)}
                </div>
            </form>
        </footer>
    }
}
