//! The page's end of a check.

use domain::RowFilter;
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, unbounded},
};
use leptos::web_sys::js_sys::Array;
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use web_sys::{Blob, File, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::{Failure, Message, ObjectUrl, Progress, Report};

#[wasm_bindgen]
extern "C" {
    /// The address of the script that belongs to this WebAssembly, whatever its name is.
    #[wasm_bindgen(thread_local_v2, js_namespace = ["import", "meta"], js_name = url)]
    static SCRIPT_URL: String;
}

/// Checks a file in a thread of its own, which ends when the future does or is dropped.
///
/// With `keep` it also gives the rows that this filter lets through, as `results.csv` has them; then a file
/// that can't be checked to its end is [`Failure::TooLarge`].
pub async fn check(
    file: &File,
    keep: Option<RowFilter>,
    mut on_progress: impl FnMut(Progress),
) -> Result<(Report, Option<Blob>), Failure> {
    let mut thread = Thread::start(file, keep).map_err(|_| Failure::Broken)?;
    let mut kept = None;
    while let Some(told) = thread.told.next().await {
        match told {
            Told::Kept(rows) => kept = Some(rows),
            Told::Message(Message::Progress(progress)) => on_progress(progress),
            Told::Message(Message::Done(report)) => return Ok((*report, kept)),
            Told::Message(Message::Failed(failure)) => return Err(failure),
            Told::BrokeOff => break,
        }
    }
    Err(Failure::Broken)
}

enum Told {
    Message(Message),
    Kept(Blob),
    BrokeOff,
}

struct Thread {
    worker: Worker,
    told: UnboundedReceiver<Told>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut()>,
    _script: ObjectUrl,
}

impl Thread {
    fn start(file: &File, keep: Option<RowFilter>) -> Result<Self, JsValue> {
        let script = ObjectUrl::of_script(&SCRIPT_URL.with(|url| script(url)))?;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(script.as_str(), &options)?;

        let (tell, told) = unbounded();
        let tell_error = tell.clone();
        // Nobody listens any more once the check has ended.
        let on_message = Closure::new(move |event: MessageEvent| {
            let _ = tell.unbounded_send(read(event.data()));
        });
        let on_error = Closure::new(move || {
            let _ = tell_error.unbounded_send(Told::BrokeOff);
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));

        let keep = keep.map(|filter| filter.as_str()).into();
        worker.post_message(&Array::of3(&wasm_bindgen::module(), file, &keep))?;
        Ok(Self {
            worker,
            told,
            _on_message: on_message,
            _on_error: on_error,
            _script: script,
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// What a thread begins with: it takes the page's script and its compiled WebAssembly. What `check_file`
/// throws becomes an error of the worker.
fn script(url: &str) -> String {
    format!(
        "import {{ initSync, check_file }} from {url:?};
onmessage = ({{ data: [module, file, keep] }}) => {{
  initSync({{ module }});
  check_file(file, keep);
}};"
    )
}

fn read(data: JsValue) -> Told {
    match data.dyn_into::<Blob>() {
        Ok(rows) => Told::Kept(rows),
        Err(text) => text
            .as_string()
            .and_then(|text| serde_json::from_str(&text).ok())
            .map_or(Told::BrokeOff, Told::Message),
    }
}
