//! The pages: rendered on the server, working without JavaScript, live with it.
//!
//! A page is plain HTML; only what lives in it is an *island*, which the browser takes over. So the browser loads the
//! code of the islands and not that of the pages.
//!
//! **Invariant.** `app[ssr] -> backend -> domain`, `app[hydrate] -> domain`: no tokio, sqlx or axum is reachable from
//! what is compiled for the browser. Pages read through the functions in [`api`], forms post to the server functions
//! there; each parses, makes one call and answers.

// The types of views nest deeply.
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
pub use document::{Page, PostedError, Query, Site, Theme};
pub use error::{AppError, ErrorKind};
#[cfg(feature = "ssr")]
pub use notice::{Notice, Said};

/// Header of requests whose response only updates parts of an open page. They don't consume one-time cookies.
pub const PARTS_HEADER: &str = "x-batchline-parts";

/// Whether the server function at this path takes a multipart form, with files.
#[cfg(feature = "ssr")]
pub fn takes_files(path: &str) -> bool {
    path == <api::UploadFile as leptos::server_fn::ServerFn>::PATH
}

/// Makes the page that the server rendered live, all but its islands: the loader hands these over, each to the
/// function of its name.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
    browser::start();
}
