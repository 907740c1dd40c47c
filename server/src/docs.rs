//! The documentation of the API: `/openapi.json`, Swagger UI under `/docs`, and a page for each kind of problem. The
//! pages look like the site but load nothing from it, because the API's own address doesn't serve the site.

use std::{convert::Infallible, fmt::Write, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{FromRequestParts, Path},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
        request::Parts,
    },
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use backend::hosts::Host;
use serde_json::Value;
use utoipa_swagger_ui::{Config, serve};

use crate::{
    peers::Ends,
    problem::{self, ProblemKind},
    state::{AppState, PagesPort},
};

/// Scripts and styles are files of ours. Swagger UI has its icons in data URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The site's own style sheets, then ours.
const STYLE: &str = concat!(
    include_str!("../../style/base.css"),
    include_str!("../../style/layout.css"),
    include_str!("docs/docs.css"),
);

/// The location of an API and its description.
struct Docs {
    /// The path prefix of the API.
    base: &'static str,
    description: Value,
}

/// Returns the routes for an API below `base`.
pub fn router(base: &'static str, description: Value) -> Router<AppState> {
    let at = |path: &str| format!("{base}{path}");
    let docs = at("/docs");
    Router::new()
        .route(&at("/openapi.json"), get(description_file))
        .route(&docs, get(reference))
        .route(&at("/docs/"), get(async move || Redirect::permanent(&docs)))
        .route(&at("/docs/{file}"), get(file))
        .route(ProblemKind::PATH, get(problems))
        .route(&format!("{}/{{code}}", ProblemKind::PATH), get(one_problem))
        .layer(Extension(Arc::new(Docs { base, description })))
}

type Here = Extension<Arc<Docs>>;

async fn description_file(Extension(docs): Here) -> Json<Value> {
    Json(docs.description.clone())
}

/// Returns Swagger UI. Until it has loaded, and without JavaScript, the page shows a list of the operations.
async fn reference(Extension(docs): Here, place: Place) -> impl IntoResponse {
    let base = docs.base;
    let mut list = String::new();
    let paths = docs.description["paths"].as_object();
    for (path, operations) in paths.into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let (method, summary) = (method.to_uppercase(), &operation["summary"]);
            let summary = summary.as_str().unwrap_or_default();
            // Writing to a string can't fail.
            let _ = write!(
                list,
                "<li><code>{method} {path}</code> {}</li>",
                escaped(summary)
            );
        }
    }
    let main = format!(
        "<div id=\"reference\"><h1>Batchline API</h1><p><a href=\"{base}/openapi.json\">OpenAPI description</a></p>\
         <ul>{list}</ul></div>\
         <script src=\"{base}/docs/swagger-ui.js\"></script>\
         <script src=\"{base}/docs/docs.js\" data-description=\"{base}/openapi.json\"></script>"
    );
    page(&place, StatusCode::OK, "API", &main)
}

async fn problems(place: Place) -> impl IntoResponse {
    let mut list = String::new();
    for kind in ProblemKind::ALL {
        let _ = write!(
            list,
            "<li><a href=\"{}\">{}</a> ({})</li>",
            kind.uri(),
            kind.title(),
            kind.status()
        );
    }
    let main = format!("<h1>Problems</h1><ul>{list}</ul>");
    page(&place, StatusCode::OK, "Problems", &main)
}

async fn one_problem(place: Place, code: Option<Path<String>>) -> impl IntoResponse {
    let kind = ProblemKind::ALL
        .iter()
        .find(|kind| code.as_ref().is_some_and(|Path(code)| code == kind.code()));
    let Some(kind) = kind else {
        let main = format!(
            "<h1>Not found</h1><p>There is no problem with this name. <a href=\"{}\">All problems</a></p>",
            ProblemKind::PATH
        );
        return page(&place, StatusCode::NOT_FOUND, "Not found", &main);
    };
    let main = format!(
        "<h1>{title}</h1><p>{help}</p><dl><dt>Status</dt><dd>{status}</dd><dt>Type</dt><dd><code>{uri}</code></dd></dl>\
         <p><a href=\"{all}\">All problems</a></p>",
        title = kind.title(),
        help = escaped(kind.help()),
        status = kind.status(),
        uri = kind.uri(),
        all = ProblemKind::PATH,
    );
    page(&place, StatusCode::OK, kind.title(), &main)
}

/// Returns a file of the pages: Swagger UI's and ours.
async fn file(Path(name): Path<String>) -> Response {
    let (kind, content) = match name.as_str() {
        // In the lowest layer, so that our rules take precedence.
        "docs.css" => {
            let swagger = swagger("swagger-ui.css");
            let swagger = String::from_utf8_lossy(&swagger);
            let style = format!(
                "@layer swagger, reset, base, layout;\n@layer swagger {{\n{swagger}\n}}\n{STYLE}"
            );
            ("text/css", style.into_bytes())
        }
        "docs.js" => ("text/javascript", include_bytes!("docs/docs.js").to_vec()),
        "swagger-ui.js" => ("text/javascript", swagger("swagger-ui-bundle.js")),
        "favicon.svg" => (
            "image/svg+xml",
            include_bytes!("../../public/favicon.svg").to_vec(),
        ),
        _ => return problem::no_such_route().await.into_response(),
    };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")];
    (headers, content).into_response()
}

/// Returns a file of Swagger UI, which is compiled into the program.
fn swagger(name: &str) -> Vec<u8> {
    let file = serve(name, Arc::new(Config::default())).ok().flatten();
    file.expect("a test asks for each").bytes.into_owned()
}

/// Where a page is shown.
struct Place {
    /// The path prefix of the API.
    base: &'static str,
    /// The URL of the site's home page, if it is known.
    site: Option<String>,
}

impl FromRequestParts<AppState> for Place {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, Self::Rejection> {
        let docs = parts.extensions.get::<Arc<Docs>>();
        let base = docs.map_or("", |docs| docs.base);
        let PagesPort(pages) = state.pages;
        let site = match (base, parts.extensions.get(), parts.extensions.get()) {
            ("", Some(host), Some(Ends { local, .. })) => {
                Host::at_other_port(host, local.port(), pages)
            }
            ("", ..) => None,
            _ => Some("/".to_owned()),
        };
        Ok(Self { base, site })
    }
}

/// The text that search engines show for these pages.
const DESCRIPTION: &str =
    "The REST API of Batchline: its operations, and what each kind of error means.";

fn page(place: &Place, status: StatusCode, title: &str, main: &str) -> Response {
    let Place { base, site } = place;
    let logo = format!(
        "<img src=\"{base}/docs/favicon.svg\" width=\"28\" height=\"28\" alt=\"\">Batchline"
    );
    let (wordmark, back) = match site {
        Some(site) => (
            format!("<a class=\"wordmark\" href=\"{site}\">{logo}</a>"),
            format!("<a href=\"{site}\">Back to Batchline</a>"),
        ),
        None => (
            format!("<span class=\"wordmark\">{logo}</span>"),
            String::new(),
        ),
    };
    let problems = ProblemKind::PATH;
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · Batchline</title><meta name=\"description\" content=\"{DESCRIPTION}\"><meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"{base}/docs/favicon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"{base}/docs/docs.css\"></head><body>\
         <a class=\"skip\" href=\"#main\">Skip to content</a>\
         <header class=\"site-header\">{wordmark}<nav aria-label=\"Site\">{back}<a href=\"{base}/docs\">API</a>\
         <a href=\"{problems}\">Problems</a></nav></header><main id=\"main\">{main}</main></body></html>"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    (status, headers, Html(html)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
