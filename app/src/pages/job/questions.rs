use backend::FileFormat;
use domain::{Job, JobStatus};
use leptos::prelude::*;

use crate::{Query, islands::CheckModule};

/// The form with the questions that must be answered before the file can be read. Answers retry the job.
#[component]
pub fn Questions<'a>(
    job: &'a Job,
    file: &'a FileFormat,
    /// Contains the answers that were just submitted.
    query: &'a Query,
    /// The module that reads the shown rows again when an answer changes.
    module: &'a CheckModule,
) -> impl IntoView + use<> {
    let questions = file
        .questions
        .as_ref()
        .filter(|_| job.state.status == JobStatus::Failed)
        .map(|questions| check::form::fields(&questions.0, "answer", query.answers()));
    let action = format!("/jobs/{}/answers", job.id);
    let error = query.answer_error();
    let CheckModule { script, wasm } = module.clone();
    let panel = questions.map(|fields| {
        view! {
            <section class="panel questions" aria-labelledby="questions-title">
                <h2 id="questions-title">"How should this file be read?"</h2>
                <p class="muted">
                    "Batchline never guesses. Your answers are used to process the file again. "
                    <a href="/formats">"Supported formats"</a>
                </p>
                {error.map(|error| view! { <p class="notice notice-bad" role="alert">{error}</p> })}
                <form method="post" action=action data-script=script data-wasm=wasm>
                    <div inner_html=fields></div>
                    <div class="controls">
                        <button class="button button-primary">"Process with these answers"</button>
                    </div>
                </form>
            </section>
        }
    });
    // Fetching the page again would lose the answers and their error.
    let is_part = query.answers().is_empty();
    view! {
        <div id="questions" data-part=is_part>
            {panel}
        </div>
    }
    .into_any()
}
