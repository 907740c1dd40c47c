//! Requests from a script of the page, mostly posts to server functions.

use leptos::{
    prelude::window,
    web_sys::{FormData, HtmlFormElement, Response, SubmitEvent, UrlSearchParams},
};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Headers, RequestInit, js_sys::Reflect};

use crate::{AppError, ErrorKind};

/// A request that accepts HTML is redirected to a page. Scripts need the response itself.
pub const JSON: &str = "application/json";

/// Posts the content of a form without files to the form's target.
pub async fn post<T: DeserializeOwned>(form: &HtmlFormElement) -> Result<T, AppError> {
    // Browsers don't report why a request failed.
    let sent = async {
        let fields = FormData::new_with_form(form)?;
        let fields = UrlSearchParams::new_with_str_sequence_sequence(&fields)?;
        send(&form.action(), &fields, JSON).await
    };
    let response = sent.await.map_err(|_: JsValue| AppError::unreachable())?;
    let body = match response.text() {
        Ok(text) => text.await,
        Err(error) => Err(error),
    };
    let body = body.map_err(|_| AppError::unreachable())?;
    answer(response.status(), &body.as_string().unwrap_or_default())
}

/// Returns the response from this address as text. `None` if the request fails.
pub async fn text_at(address: &str) -> Option<String> {
    let response = window().fetch_with_str(address).await.ok()?;
    let response: Response = response.dyn_into().ok()?;
    let text = response.ok().then(|| response.text().ok()).flatten()?;
    text.await.ok()?.as_string()
}

/// Returns the fields of a submitted form and its button as a URL query.
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

/// Posts fields. Leaving the page doesn't abort the request: whoever pressed a button expects that it has worked.
pub async fn send(
    address: &str,
    fields: &UrlSearchParams,
    accept: &str,
) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    headers.set("accept", accept)?;
    let options = RequestInit::new();
    options.set_method("POST");
    options.set_headers(&headers);
    options.set_body(fields);
    Reflect::set(&options, &"keepalive".into(), &true.into())?;
    let response = window().fetch_with_str_and_init(address, &options);
    response.await?.dyn_into()
}

/// Parses the response of a server function.
pub fn answer<T: DeserializeOwned>(status: u16, body: &str) -> Result<T, AppError> {
    if status == 200 {
        return serde_json::from_str(body).map_err(|_| AppError::internal());
    }
    // A request that doesn't reach the function is answered with an RFC 9457 problem.
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
            507 => ErrorKind::NoRoom,
            500.. => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        };
        return Err(AppError::new(kind, detail));
    }
    // The response may come from a proxy.
    Err(match status {
        413 => AppError::new(
            ErrorKind::TooLarge,
            "The file is too large to be accepted here.",
        ),
        502..=504 => AppError::unreachable(),
        _ => AppError::internal(),
    })
}
