//! The HTML document around the pages, and what a page is made from.

use std::{collections::HashMap, path::Path, sync::Arc};

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use hydration_context::SsrSharedContext;
use leptos::{
    prelude::*,
    reactive::owner::Owner,
    server_fn::{ServerFn, error::ServerFnUrlError},
};
use url::form_urlencoded;

use crate::{
    AppError,
    components::{Logo, document_title},
    islands::{CheckModule, Shortcuts},
};

/// A rendered page.
pub struct Page {
    pub status: StatusCode,
    /// The whole document.
    pub html: String,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        (self.status, Html(self.html)).into_response()
    }
}

/// The query of a page's address.
#[derive(Debug, Clone, Default)]
pub struct Query {
    values: HashMap<String, String>,
    /// Of a form whose answer the page is; never from the address.
    answer_error: Option<String>,
}

impl Query {
    /// Understands every text: what can't be decoded is replaced. Of several values of one name the last counts.
    pub fn parse(query: &str) -> Self {
        Self {
            values: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            answer_error: None,
        }
    }

    /// The page is shown in answer to a form with this error.
    pub(crate) fn with_answer_error(self, error: String) -> Self {
        Self {
            answer_error: Some(error),
            ..self
        }
    }

    /// What is wrong with the answers that the page is shown in return for.
    pub(crate) fn answer_error(&self) -> Option<String> {
        self.answer_error.clone()
    }

    /// Empty where there is none, as a form sends it.
    pub fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// The error that a form posted to the server function `S` left in the address that it came back to.
    pub fn posted<S: ServerFn<Error = AppError>>(&self) -> Option<AppError> {
        let error = self
            .values
            .get("__err")
            .filter(|_| self.get("__path") == S::PATH)?;
        Some(ServerFnUrlError::decode_err(error))
    }
}

/// What all pages have in common.
#[derive(Debug, Clone)]
pub struct Site {
    stylesheet: Arc<str>,
    /// The script that makes a page live.
    loader: Arc<str>,
    pub(crate) check: CheckModule,
}

impl Site {
    /// The site that was built in the directory `root`; its file `hash.txt` tells how the files are named.
    pub fn new(root: &Path) -> Self {
        // Lines such as `wasm: KkH0-pvZIzSmmKGqTwNLNw`.
        let hashes = std::fs::read_to_string(root.join("hash.txt")).unwrap_or_else(|error| {
            tracing::warn!(%error, "there is no built site: pages have neither style nor script");
            String::new()
        });
        let path = |name: &str, kind: &str, key: &str| {
            let hash = hashes
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(file, _)| file.trim() == key)
                .map(|(_, hash)| format!(".{}", hash.trim()))
                .unwrap_or_default();
            format!("/pkg/{name}{hash}.{kind}")
        };
        let page = |kind| path("batchline", kind, kind);
        let function = include_str!("loader.js").trim_end();
        Self {
            stylesheet: page("css").into(),
            loader: format!("{function}({:?}, {:?});", page("js"), page("wasm")).into(),
            check: CheckModule {
                script: path("check", "js", "check.js"),
                wasm: path("check", "wasm", "check.wasm"),
            },
        }
    }

    /// Renders a page. `main` is called with what the signals of the islands need.
    pub(crate) fn page<V: IntoView + 'static>(
        &self,
        status: StatusCode,
        title: &str,
        main: impl FnOnce() -> V,
    ) -> Page {
        let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new_islands())));
        let html = owner.with(|| self.document(title, main().into_any()).to_html());
        owner.unset_with_forced_cleanup();
        Page { status, html }
    }

    fn document(&self, title: &str, main: AnyView) -> impl IntoView + use<> {
        let title = document_title(title);
        view! {
            <!DOCTYPE html>
            <html lang="en">
                <head>
                    <meta charset="utf-8" />
                    <meta name="viewport" content="width=device-width, initial-scale=1" />
                    <title>{title}</title>
                    <meta
                        name="description"
                        content="Hand in CSV files of transactions, watch every row being validated, and get each back with its verdict."
                    />
                    <meta name="color-scheme" content="light dark" />
                    <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                    <link rel="stylesheet" href=self.stylesheet.to_string() />
                    <script type="module" inner_html=self.loader.to_string()></script>
                    // What only JavaScript could do is not there without it.
                    <noscript>
                        <style>".scripted { display: none; }"</style>
                    </noscript>
                </head>
                <body>
                    <a class="skip" href="#main">
                        "Skip to the content"
                    </a>
                    <header class="site-header">
                        <a class="wordmark" href="/" aria-keyshortcuts="h">
                            <Logo />
                            "Batchline"
                        </a>
                        <nav aria-label="Site">
                            <Shortcuts />
                            <a href="/api/docs">"API"</a>
                        </nav>
                    </header>
                    <main id="main">{main}</main>
                </body>
            </html>
        }
    }
}
