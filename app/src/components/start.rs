use domain::Job;
use leptos::prelude::*;

use super::FormError;
use crate::api::StartJob;

/// Starts a pending job.
#[component]
pub fn Start(job: RwSignal<Job>) -> impl IntoView {
    let start = ServerAction::<StartJob>::new();
    let error = Signal::derive(move || {
        start
            .value()
            .with(|result| result.as_ref()?.as_ref().err().cloned())
    });
    Effect::new(move |_| {
        if let Some(Ok(started)) = start.value().get()
            && job.with_untracked(|job| job.version < started.version)
        {
            job.set(started);
        }
    });
    let id = job.with_untracked(|job| job.id);
    view! {
        <ActionForm action=start>
            <FormError error />
            <input type="hidden" name="job_id" value=id.to_string() />
            <button class="button button-primary" disabled=start.pending()>
                "Start processing"
            </button>
        </ActionForm>
    }
    .into_any()
}
