//! The page's side of a check.

#[cfg(feature = "hydrate")]
use ::check::form::Reads;
use ::check::{Failure, Message, Progress, Report};
use domain::RowFilter;
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, unbounded},
};
use leptos::{prelude::window, web_sys::js_sys::Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{Blob, File, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::object_url::ObjectUrl;

/// The addresses of the web worker's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckModule {
    /// The path of the script that belongs to the WebAssembly.
    pub script: String,
    pub wasm: String,
}

/// Checks a file in its own web worker, which ends when the future completes or is dropped.
///
/// With `keep` it also returns the rows selected by this filter, in the form of `results.csv`. A file that can't be
/// checked to its end is then [`Failure::TooLarge`].
pub async fn check(
    module: &CheckModule,
    file: &File,
    keep: Option<RowFilter>,
    given: &Given,
    mut on_progress: impl FnMut(Progress),
) -> Result<(Report, Option<Blob>), Failure> {
    let keep = keep.map(|filter| filter.as_str()).into();
    let SavedFormats { list, chosen } = &given.saved;
    let texts = [&given.format, &given.answers, list, chosen].map(JsValue::from);
    let given = [file.into(), keep].into_iter().chain(texts);
    let mut web_worker =
        WebWorker::start(module, "check_file", given).map_err(|_| Failure::Broken)?;
    let mut kept = None;
    while let Some(event) = web_worker.events.next().await {
        match event {
            Event::Kept(rows) => kept = Some(rows),
            Event::Message(Message::Progress(progress)) => on_progress(progress),
            Event::Message(Message::Done(report)) => return Ok((*report, kept)),
            Event::Message(Message::Failed(failure)) => return Err(failure),
            Event::Message(Message::Reads(_)) | Event::Aborted => break,
        }
    }
    Err(Failure::Broken)
}

/// Returns how the rows that a question shows are read. `question` is the one in the form, and `answers` are the form's
/// answers as a URL query. Returns `None` if the web worker can't be started.
#[cfg(feature = "hydrate")]
pub async fn read_shown(module: &CheckModule, question: &str, answers: &str) -> Option<Reads> {
    let given = [question, answers].map(JsValue::from);
    let mut web_worker = WebWorker::start(module, "read_shown", given).ok()?;
    match web_worker.events.next().await? {
        Event::Message(Message::Reads(reads)) => reads,
        _ => None,
    }
}

/// What is given about a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// A format as JSON.
    pub format: String,
    /// The answers that a form added, as a URL query.
    pub answers: String,
    /// The saved formats of the user.
    pub saved: SavedFormats,
}

/// The saved formats that may complete the given format.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SavedFormats {
    /// All formats of the user, in the form of the API.
    pub list: String,
    /// The name of the chosen format. If empty, the file's header selects one.
    pub chosen: String,
}

enum Event {
    Message(Message),
    Kept(Blob),
    Aborted,
}

struct WebWorker {
    worker: Worker,
    events: UnboundedReceiver<Event>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut()>,
    _script: ObjectUrl,
}

impl WebWorker {
    /// Calls a function of the module with these arguments.
    fn start(
        module: &CheckModule,
        function: &str,
        given: impl IntoIterator<Item = JsValue>,
    ) -> Result<Self, JsValue> {
        let script = ObjectUrl::of_script(&script(module)?)?;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(script.as_str(), &options)?;

        let (sender, events) = unbounded();
        let error_sender = sender.clone();
        // The receiver is gone once the check has ended.
        let on_message = Closure::new(move |event: MessageEvent| {
            let _ = sender.unbounded_send(read(event.data()));
        });
        let on_error = Closure::new(move || {
            let _ = error_sender.unbounded_send(Event::Aborted);
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));

        let data: Array = [function.into()].into_iter().chain(given).collect();
        worker.post_message(&data)?;
        Ok(Self {
            worker,
            events,
            _on_message: on_message,
            _on_error: on_error,
            _script: script,
        })
    }
}

impl Drop for WebWorker {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// Returns the script with which a web worker starts. Errors in it become an error of the worker.
fn script(module: &CheckModule) -> Result<String, JsValue> {
    // A script without its own address needs absolute URLs.
    let origin = window().location().origin()?;
    let CheckModule { script, wasm } = module;
    Ok(format!(
        "import init, * as check from '{origin}{script}';
onmessage = ({{ data: [name, ...given] }}) => {{
  init({{ module_or_path: '{origin}{wasm}' }})
    .then(() => check[name](...given))
    .catch(reportError);
}};"
    ))
}

fn read(data: JsValue) -> Event {
    match data.dyn_into::<Blob>() {
        Ok(rows) => Event::Kept(rows),
        Err(text) => text
            .as_string()
            .and_then(|text| serde_json::from_str(&text).ok())
            .map_or(Event::Aborted, Event::Message),
    }
}
