use std::{cell::RefCell, collections::HashMap};

use domain::JobId;
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, unbounded},
};
use leptos::{
    server_fn::ServerFn,
    web_sys::{FormData, ProgressEvent, UrlSearchParams},
};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{File, XmlHttpRequest, js_sys::Math};

use crate::{
    AppError, ErrorKind,
    api::UploadFile,
    request::{self, JSON},
};

/// The progress of an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sent {
    pub bytes: u64,
    /// 0 until the size is known.
    pub total: u64,
}

impl Sent {
    pub fn percent(self) -> f64 {
        self.bytes as f64 / self.total.max(1) as f64 * 100.0
    }

    pub fn is_complete(self) -> bool {
        self.total > 0 && self.bytes >= self.total
    }
}

thread_local! {
    /// The keys of uploads that haven't succeeded, by what they send.
    static KEYS: RefCell<HashMap<String, String>> = RefCell::new(HashMap::new());
}

/// Posts the form, which contains `file`, to [`UploadFile`]. Returns the id of the new job. Dropping the future aborts
/// the request. If the file is sent again because the response was lost, by the user or by the browser itself, that is the
/// same job.
///
/// [`ErrorKind::Unavailable`] means that retrying may help.
pub async fn send(
    form: &FormData,
    file: &File,
    mut on_progress: impl FnMut(Sent),
) -> Result<JobId, AppError> {
    let sends = sends(form, file);
    let key =
        KEYS.with_borrow_mut(|keys| keys.entry(sends.clone()).or_insert_with(new_key).clone());
    let mut request = Request::send(form, &key).map_err(|_| AppError::unreachable())?;
    let mut is_complete = false;
    while let Some(event) = request.events.next().await {
        match event {
            Event::Progress(sent) => {
                is_complete = sent.is_complete();
                on_progress(sent);
            }
            Event::Answered => {
                let answer = request.answer();
                if answer.is_ok() {
                    KEYS.with_borrow_mut(|keys| keys.remove(&sends));
                }
                return answer;
            }
            Event::Failed => break,
        }
    }
    match is_readable(file).await {
        true => Err(connection_lost(is_complete)),
        false => Err(unreadable()),
    }
}

/// Identifies a file and the fields that say how to read it.
fn sends(form: &FormData, file: &File) -> String {
    let fields = UrlSearchParams::new_with_str_sequence_sequence(form).map(|fields| {
        // Whether the job is started makes no other job.
        fields.delete("then");
        String::from(fields.to_string())
    });
    let (name, size, changed) = (file.name(), file.size(), file.last_modified());
    format!("{name} {size} {changed} {}", fields.unwrap_or_default())
}

/// Returns a random key. It only has to differ from the other keys of the same user.
fn new_key() -> String {
    let random = || (Math::random() * 2_f64.powi(32)) as u32;
    format!(
        "{:08x}{:08x}{:08x}{:08x}",
        random(),
        random(),
        random(),
        random()
    )
}

enum Event {
    Progress(Sent),
    Answered,
    Failed,
}

/// A request with progress, which `fetch` doesn't report.
struct Request {
    request: XmlHttpRequest,
    events: UnboundedReceiver<Event>,
    _listeners: [Closure<dyn FnMut(ProgressEvent)>; 3],
}

impl Request {
    fn send(form: &FormData, key: &str) -> Result<Self, JsValue> {
        let (sender, events) = unbounded();
        let listener = |read: fn(&ProgressEvent) -> Event| {
            let sender = sender.clone();
            Closure::<dyn FnMut(ProgressEvent)>::new(move |event: ProgressEvent| {
                // The receiver is gone once there is a response.
                let _ = sender.unbounded_send(read(&event));
            })
        };
        let on_progress = listener(|event| {
            Event::Progress(Sent {
                bytes: event.loaded() as u64,
                total: event.total() as u64,
            })
        });
        let on_answer = listener(|_| Event::Answered);
        let on_failure = listener(|_| Event::Failed);

        let request = XmlHttpRequest::new()?;
        request
            .upload()?
            .set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
        request.set_onload(Some(on_answer.as_ref().unchecked_ref()));
        request.set_onerror(Some(on_failure.as_ref().unchecked_ref()));
        request.open("POST", UploadFile::PATH)?;
        request.set_request_header("accept", JSON)?;
        request.set_request_header("idempotency-key", key)?;
        request.send_with_opt_form_data(Some(form))?;
        Ok(Self {
            request,
            events,
            _listeners: [on_progress, on_answer, on_failure],
        })
    }

    fn answer(&self) -> Result<JobId, AppError> {
        let status = self.request.status().unwrap_or_default();
        let body = self.request.response_text().ok().flatten();
        request::answer(status, &body.unwrap_or_default())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // Fails if there is nothing to abort.
        let _ = self.request.abort();
    }
}

/// Browsers don't report why a request failed. One reason is that the file was changed.
async fn is_readable(file: &File) -> bool {
    match file.slice_with_i32_and_i32(0, 1) {
        Ok(start) => start.array_buffer().await.is_ok(),
        Err(_) => false,
    }
}

fn connection_lost(is_sent: bool) -> AppError {
    let sentence = match is_sent {
        true => {
            "The connection was lost while the file was being stored. You can safely try again: it won't be stored twice."
        }
        false => {
            "The connection was lost before the file was stored. The file is still chosen. Check the connection and try again."
        }
    };
    AppError::new(ErrorKind::Unavailable, sentence)
}

fn unreadable() -> AppError {
    AppError::new(
        ErrorKind::Invalid,
        "The file can't be read any more. It was changed, moved or deleted. Choose it again.",
    )
}
