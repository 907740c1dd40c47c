use leptos::{
    prelude::*,
    server_fn::ServerFn,
    wasm_bindgen::JsCast,
    web_sys::{FormData, HtmlFormElement, SubmitEvent},
};

use crate::{
    AppError, ErrorKind,
    api::{UploadFile, upload_file},
};

/// Without JavaScript the browser posts the form; with it the same form is sent from here, which
/// can say that it is being sent. Both end on the page of the new job.
#[component]
pub fn UploadForm(user_id: i64) -> impl IntoView {
    let upload = Action::new_local(|form: &FormData| upload_file(form.clone().into()));
    let posted = AppError::posted::<UploadFile>();
    let error = move || {
        upload
            .value()
            .with(|result| match result {
                Some(result) => result.as_ref().err().cloned(),
                None => posted.clone(),
            })
            .map(|error| error.message)
    };
    let error = Memo::new(move |_| error());
    let pending = upload.pending();
    let unreadable = RwSignal::new(None::<String>);

    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if pending.get_untracked() {
            return;
        }
        let form = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlFormElement>().ok())
            .and_then(|form| FormData::new_with_form(&form).ok());
        match form {
            Some(form) => {
                unreadable.set(None);
                upload.dispatch_local(form);
            }
            None => unreadable.set(Some(
                AppError::new(
                    ErrorKind::Internal,
                    "The file can't be read. Choose it again.",
                )
                .message,
            )),
        }
    };
    let sentence = move || unreadable.get().or_else(|| error.get());
    view! {
        <section class="panel" aria-labelledby="upload">
            <h2 id="upload">"Upload a file"</h2>
            <form
                method="post"
                action=UploadFile::PATH
                enctype="multipart/form-data"
                on:submit=submit
            >
                <input type="hidden" name="user_id" value=user_id.to_string() />
                <div class="field">
                    <label for="file">"CSV file"</label>
                    <input
                        id="file"
                        type="file"
                        name="file"
                        accept=".csv,text/csv"
                        required
                        aria-invalid=move || sentence().map(|_| "true")
                        aria-describedby="file-error file-hint"
                    />
                    <p class="field-error" id="file-error" aria-live="polite">
                        {sentence}
                    </p>
                    <p class="hint" id="file-hint">
                        "Columns: transaction_id, amount, date and, if you like, description. "
                        <a href="/sample.csv" download>
                            "Download a sample"
                        </a>
                    </p>
                </div>
                <button class="button button-primary" disabled=pending>
                    {move || if pending.get() { "Sending…" } else { "Upload" }}
                </button>
                <Show when=move || pending.get()>
                    <progress class="sending" aria-label="Sending the file"></progress>
                </Show>
            </form>
        </section>
    }
    .into_any()
}
