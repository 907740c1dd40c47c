use domain::{Command, Job, JobStatus};
use leptos::prelude::*;

use super::{Confirm, FormError};
use crate::{AppError, api::CommandJob};

/// What can be asked of the job as it is. Where it destroys nothing, a button does it at once.
#[component]
pub fn Controls(
    job: RwSignal<Job>,
    /// Whether the job may be cancelled here, once in a page, as it asks first; and whether the question is open.
    #[prop(default = None)]
    cancel: Option<bool>,
) -> impl IntoView {
    let status = Memo::new(move |_| job.with(|job| job.status));
    move || {
        let status = status.get();
        let offered: Vec<Command> = Command::ALL
            .into_iter()
            .filter(|command| *command != Command::Cancel && command.is_offered_for(status))
            .collect();
        // In a list it would be one of many jobs that a key starts.
        let has_shortcut = cancel.is_some();
        let cancel = cancel.filter(|_| Command::Cancel.is_offered_for(status));
        (cancel.is_some() || !offered.is_empty()).then(|| {
            view! {
                <div class="controls">
                    // By key, so that no button becomes another one under somebody's pointer.
                    <For each=move || offered.clone() key=|command| *command let(command)>
                        <CommandButton job command has_shortcut />
                    </For>
                    {cancel.map(|open| view! { <Cancel job open /> })}
                </div>
            }
            .into_any()
        })
    }
}

#[component]
fn CommandButton(job: RwSignal<Job>, command: Command, has_shortcut: bool) -> impl IntoView {
    // A retry replaces what is there: not by a slip of a finger.
    let shortcut = (has_shortcut && command != Command::Retry).then_some("s");
    let (action, error) = command_action(job, command);
    let (name, under_way) = match command {
        Command::Start => ("Start processing", "Starting…"),
        Command::Pause => ("Pause", "Pausing…"),
        Command::Resume => ("Resume", "Resuming…"),
        Command::Cancel => ("Cancel", "Cancelling…"),
        Command::Retry => ("Retry", "Retrying…"),
    };
    let pending = action.pending();
    let class = match command {
        Command::Pause | Command::Retry => "button",
        _ => "button button-primary",
    };
    view! {
        <ActionForm action>
            <FormError error />
            <CommandFields job command />
            <button class=class disabled=pending aria-keyshortcuts=shortcut>
                {move || if pending.get() { under_way } else { name }}
            </button>
        </ActionForm>
    }
    .into_any()
}

#[component]
fn Cancel(job: RwSignal<Job>, open: bool) -> impl IntoView {
    let (action, error) = command_action(job, Command::Cancel);
    // Without JavaScript the page of a running job fetches itself again and again, which would close the question.
    let id = job.with_untracked(|job| job.id);
    let ask = format!(
        r#"<a class="button button-quiet-danger" href="/jobs/{id}?ask=cancel">Cancel…</a>"#
    );
    view! {
        <div>
            <noscript inner_html=ask></noscript>
            <Confirm
                open
                id="cancel-job"
                button="Cancel…"
                button_class="button button-quiet-danger scripted"
                question="Cancel the processing?"
                dismiss="Don't cancel"
                error
            >
                <p>
                    "Rows that have their verdict are kept. To process the others the file must be retried from its first row."
                </p>
                <ActionForm action>
                    <CommandFields job command=Command::Cancel />
                    <button class="button button-danger" disabled=action.pending()>
                        "Cancel processing"
                    </button>
                </ActionForm>
            </Confirm>
        </div>
    }
    .into_any()
}

#[component]
fn CommandFields(job: RwSignal<Job>, command: Command) -> impl IntoView {
    let id = job.with_untracked(|job| job.id);
    view! {
        <input type="hidden" name="job_id" value=id.to_string() />
        <input type="hidden" name="command" value=command.as_str() />
    }
}

/// The action that gives the command, and what is wrong with its last try. The job follows the answer.
fn command_action(
    job: RwSignal<Job>,
    command: Command,
) -> (ServerAction<CommandJob>, Signal<Option<AppError>>) {
    let action = ServerAction::<CommandJob>::new();
    Effect::new(move |_| {
        if let Some(Ok(now)) = action.value().get()
            && job.with_untracked(|job| job.version < now.version)
        {
            job.set(now);
        }
    });
    let id = job.with_untracked(|job| job.id).to_string();
    let error = Signal::derive(move || {
        let error = action
            .value()
            .with(|result| result.as_ref()?.as_ref().err().cloned())?;
        // After a post without JavaScript every form of the page finds the error: it is for one of them.
        let is_ours = error.typed("job_id").is_none_or(|typed| typed == id)
            && error
                .typed("command")
                .is_none_or(|typed| typed == command.as_str());
        is_ours.then_some(error)
    });
    (action, error)
}

/// Says of a job at rest what its state means, where its numbers don't.
pub fn state_sentence(status: JobStatus) -> Option<&'static str> {
    match status {
        JobStatus::Pending => Some(
            "The file is stored. Start it to have every row checked; this page may be closed meanwhile.",
        ),
        JobStatus::Paused => Some("Paused. It goes on where it stopped when you resume it."),
        JobStatus::Cancelled => Some(
            "Cancelled. The rows below have their verdict; a retry begins anew with the first row.",
        ),
        JobStatus::Processing | JobStatus::Completed | JobStatus::Failed => None,
    }
}
