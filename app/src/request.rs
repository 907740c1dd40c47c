//! Requests from a script of the page: mostly posts to server functions.

use leptos::{
    prelude::window,
    web_sys::{FormData, HtmlFormElement, Response, SubmitEvent, UrlSearchParams},
};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Headers, RequestInit};

use crate::{AppError, ErrorKind};

/// Who accepts HTML is sent to a page; a script wants the answer itself.
pub const JSON: &str = "application/json";

/// Posts what stands in the form, which has no files, to where it would go without a script.
pub async fn post<T: DeserializeOwned>(form: &HtmlFormElement) -> Result<T, AppError> {
    // A browser tells no reason when a request fails.
    let response = send(form).await.map_err(|_| AppError::unreachable())?;
    let body = match response.text() {
        Ok(text) => text.await,
        Err(error) => Err(error),
    };
    let body = body.map_err(|_| AppError::unreachable())?;
    answer(response.status(), &body.as_string().unwrap_or_default())
}

/// What is at this address. `None` if it can't be had.
pub async fn text_at(address: &str) -> Option<String> {
    let response = window().fetch_with_str(address).await.ok()?;
    let response: Response = response.dyn_into().ok()?;
    let text = response.ok().then(|| response.text().ok()).flatten()?;
    text.await.ok()?.as_string()
}

/// The fields of the form that is submitted, with those of the button, as in a URL's query.
pub fn query_of(event: &SubmitEvent) -> Option<String> {
    let form: HtmlFormElement = event.target()?.dyn_into().ok()?;
    let fields = FormData::new_with_form(&form).ok()?;
    let fields = UrlSearchParams::new_with_str_sequence_sequence(&fields).ok()?;
    if let Some(button) = event.submitter() {
        let attribute = |name| button.get_attribute(name).unwrap_or_default();
        fields.append(&attribute("name"), &attribute("value"));
    }
    fields.to_string().as_string()
}

async fn send(form: &HtmlFormElement) -> Result<Response, JsValue> {
    let fields = FormData::new_with_form(form)?;
    let fields = UrlSearchParams::new_with_str_sequence_sequence(&fields)?;
    let headers = Headers::new()?;
    headers.set("accept", JSON)?;
    let options = RequestInit::new();
    options.set_method("POST");
    options.set_headers(&headers);
    options.set_body(&fields);
    let response = window().fetch_with_str_and_init(&form.action(), &options);
    response.await?.dyn_into()
}

/// What a server function has answered.
pub fn answer<T: DeserializeOwned>(status: u16, body: &str) -> Result<T, AppError> {
    if status == 200 {
        return serde_json::from_str(body).map_err(|_| AppError::internal());
    }
    // What never got as far as the function is answered with a problem.
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    if let Ok(error) = serde_json::from_str(body) {
        return Err(error);
    }
    if let Ok(Problem { detail }) = serde_json::from_str(body) {
        let kind = match status {
            413 => ErrorKind::TooLarge,
            408 | 429 | 503 => ErrorKind::Unavailable,
            500.. => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        };
        return Err(AppError::new(kind, detail));
    }
    // Not every answer is ours: there may be a proxy.
    Err(match status {
        413 => AppError::new(
            ErrorKind::TooLarge,
            "The file is too large to be accepted here.",
        ),
        502..=504 => AppError::unreachable(),
        _ => AppError::internal(),
    })
}
