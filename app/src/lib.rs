//! The pages: rendered on the server, usable without JavaScript, live with it.
//!
//! A page is plain HTML. Only its interactive parts are *islands*, which become live in the browser. So the browser
//! loads the code of the islands but not that of the pages.
//!
//! **Invariant.** `app[ssr] -> backend -> domain`, `app[hydrate] -> domain`: the code for the browser can't reach
//! tokio, sqlx or axum. Pages read with the entry points of `backend`. Forms post to the server functions in [`api`]. Each
//! function parses its input, makes one call and returns the result.
//!
//! ```
//! # #[cfg(feature = "ssr")] {
//! use std::path::Path;
//!
//! use app::{Query, Site, Theme, pages};
//!
//! let site = Site::new(Path::new("target/site")).asked_for(Theme::Dark, None, "localhost:3000");
//! let page = pages::formats(&site);
//! assert_eq!(page.status, 200);
//! assert!(page.html.starts_with("<!DOCTYPE html>"));
//! assert!(page.html.contains("<h1>Supported formats</h1>"));
//!
//! // Whatever is in an address, there is a page for it.
//! let query = Query::parse("q=%FF&page=x&q=march");
//! assert_eq!((query.get("q"), query.get("size")), ("march", ""));
//! # }
//! ```

// View types nest deeply.
#![recursion_limit = "512"]

mod api;
#[cfg(feature = "hydrate")]
mod browser;
mod components;
#[cfg(feature = "ssr")]
mod document;
mod error;
mod islands;
mod live;
#[cfg(feature = "ssr")]
mod notice;
#[cfg(feature = "ssr")]
pub mod pages;
mod request;

#[cfg(feature = "ssr")]
pub use api::form_fields;
#[cfg(feature = "ssr")]
pub use check::form::FIELDS as ANSWER_FIELDS;
#[cfg(feature = "ssr")]
pub use document::{Page, PostedError, Query, Site, Theme};
pub use error::{AppError, ErrorKind};
#[cfg(feature = "ssr")]
pub use notice::{Notice, Said};

/// Header of requests whose response only updates parts of an open page. They don't consume one-time cookies.
pub const PARTS_HEADER: &str = "x-batchline-parts";

/// Returns whether the server function at this path takes a multipart form with files.
#[cfg(feature = "ssr")]
pub fn takes_files(path: &str) -> bool {
    path == <api::UploadFile as leptos::server_fn::ServerFn>::PATH
}

/// Makes everything but the islands of a rendered page live. The loader then passes each island to the function with
/// its name.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
    browser::start();
}
