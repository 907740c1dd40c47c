//! The REST API, with one module per resource. A handler parses its input, makes one call into `backend`, and responds.

pub mod audit;
pub mod check;
mod form;
pub mod formats;
pub mod jobs;
pub mod me;
pub mod paging;
pub mod quotas;
pub mod results;
pub mod transactions;
pub mod users;

use std::fmt::Display;

use axum::http::{HeaderValue, Uri, header};

/// Returns a `Location` header with a path derived from the request's path, so that it is right both at the root and
/// under `/api`.
fn location(path: String) -> [(header::HeaderName, HeaderValue); 1] {
    let value = HeaderValue::try_from(path).expect("a request's path and digits are ASCII");
    [(header::LOCATION, value)]
}

/// Returns the `Location` of a new resource in the collection that received the POST.
fn created_in(collection: &Uri, id: impl Display) -> [(header::HeaderName, HeaderValue); 1] {
    location(format!("{}/{id}", collection.path().trim_end_matches('/')))
}
