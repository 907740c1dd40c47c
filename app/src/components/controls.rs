use std::{cell::Cell, rc::Rc, time::Duration};

use domain::{Command, JobId, JobState};
use leptos::{
    prelude::*,
    server_fn::ServerFn,
    web_sys::{MouseEvent, SubmitEvent},
};
use wasm_bindgen::JsCast;

use super::{Confirm, FormError, some_text, text};
use crate::{AppError, api::CommandJob, request};

/// How long a command without a response is assumed to succeed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the job as a page shows it: a pending command is assumed to succeed until the response says otherwise. The
/// controls depend on the actual state instead.
pub fn shown(job: RwSignal<JobState>, asked: RwSignal<Option<Command>>) -> Signal<JobState> {
    let shown = Memo::new(move |_| {
        let job = job.get();
        match asked.get() {
            Some(command) => job.after(command),
            None => job,
        }
    });
    shown.into()
}

/// Buttons for the commands that the job allows. A command that destroys nothing takes effect without a question.
///
/// A retry isn't offered if the file is the cause of the failure, because it would fail again.
#[component]
pub fn Controls(
    job_id: JobId,
    job: RwSignal<JobState>,
    /// The pending command.
    asked: RwSignal<Option<Command>>,
    /// The error of a command that was posted without JavaScript.
    posted: Option<AppError>,
    /// Whether the page asks to confirm that the job is cancelled.
    is_question_open: bool,
) -> impl IntoView {
    let state = Memo::new(move |_| job.with(|job| (job.status, job.error_code.is_some())));
    move || {
        let (status, is_file_wrong) = state.get();
        let is_offered = |command: &Command| {
            let is_in_vain = *command == Command::Retry && is_file_wrong;
            *command != Command::Cancel && !is_in_vain && command.is_offered_for(status)
        };
        let offered: Vec<Command> = Command::ALL.iter().copied().filter(is_offered).collect();
        let can_cancel = Command::Cancel.is_offered_for(status);
        let posted = posted.clone();
        (can_cancel || !offered.is_empty()).then(|| {
            let order = |command| Order::new(job_id, job, asked, command, posted.as_ref());
            let cancel = can_cancel.then(|| {
                view! { <Cancel order=order(Command::Cancel) open=is_question_open /> }
            });
            let orders: Vec<_> = offered.into_iter().map(order).collect();
            view! {
                <div class="controls" role="group" aria-label="Commands">
                    // Keyed, so that no button turns into another one under the pointer.
                    <For each=move || orders.clone() key=|order| order.command let(order)>
                        <CommandButton order />
                    </For>
                    {cancel}
                </div>
            }
        })
    }
}

/// A command that a form can send.
#[derive(Clone, Copy)]
struct Order {
    job_id: JobId,
    job: RwSignal<JobState>,
    command: Command,
    /// The pending command. While there is one, no other can be sent.
    asked: RwSignal<Option<Command>>,
    /// The error of the last attempt.
    error: RwSignal<Option<AppError>>,
}

impl Order {
    fn new(
        job_id: JobId,
        job: RwSignal<JobState>,
        asked: RwSignal<Option<Command>>,
        command: Command,
        posted: Option<&AppError>,
    ) -> Self {
        let id = job_id.to_string();
        // Every form on the page receives the error, but it belongs to one of them.
        let is_ours = |error: &&AppError| {
            let typed =
                |name: &str, ours: &str| error.typed(name).is_none_or(|typed| typed == ours);
            typed("job_id", &id) && typed("command", command.as_str())
        };
        Self {
            job_id,
            job,
            command,
            asked,
            error: RwSignal::new(posted.filter(is_ours).cloned()),
        }
    }

    /// Sends the form instead of the browser. The page immediately shows the expected state ([`shown`]), and the job is
    /// updated by the response.
    fn send(self, event: &SubmitEvent) {
        event.prevent_default();
        let form = event.target().and_then(|form| form.dyn_into().ok());
        let Some(form) = form.filter(|_| self.asked.get_untracked().is_none()) else {
            return;
        };
        self.asked.set(Some(self.command));
        self.error.set(None);
        // The page may show other jobs later, or other controls of this job if a message arrives first.
        let end = move |error: Option<AppError>| {
            let _ = self.error.try_set(error);
            let _ = self.asked.try_set(None);
        };
        let is_pending = Rc::new(Cell::new(true));
        let is_late = is_pending.clone();
        set_timeout(
            move || {
                if is_late.take() {
                    end(Some(AppError::late()));
                }
            },
            PATIENCE,
        );
        leptos::task::spawn_local(async move {
            let answer = request::post::<JobState>(&form).await;
            let error = match answer {
                Ok(now) => {
                    let _ = self.job.try_update(|job| job.renew(now));
                    None
                }
                Err(error) => Some(error),
            };
            // Otherwise another command may be pending by now.
            if is_pending.take() {
                end(error);
            } else {
                let _ = self.error.try_set(error);
            }
        });
    }
}

#[component]
fn OrderForm<C: IntoView + 'static>(order: Order, children: TypedChildren<C>) -> impl IntoView {
    view! {
        <form method="post" action=CommandJob::PATH on:submit=move |event| order.send(&event)>
            <input type="hidden" name="job_id" value=order.job_id.to_string() />
            <input type="hidden" name="command" value=order.command.as_str() />
            {children.into_inner()()}
        </form>
    }
}

#[component]
fn CommandButton(order: Order) -> impl IntoView {
    // A retry replaces the results, so it has no shortcut.
    let shortcut = (order.command != Command::Retry).then_some("s");
    let (name, under_way) = match order.command {
        Command::Start => ("Start processing", "Starting…"),
        Command::Pause => ("Pause", "Pausing…"),
        Command::Resume => ("Resume", "Resuming…"),
        Command::Cancel => ("Cancel", "Cancelling…"),
        Command::Retry => ("Retry", "Retrying…"),
    };
    let class = match order.command {
        Command::Pause | Command::Retry => "button",
        _ => "button button-primary",
    };
    // The second click of a double click may hit the button that replaced the first one.
    let click = |event: MouseEvent| {
        if event.detail() > 1 {
            event.prevent_default();
        }
    };
    view! {
        <OrderForm order>
            <FormError error=order.error />
            <button
                class=class
                // Disabling it would take the focus from it.
                aria-disabled=some_text(move || order.asked.get().map(|_| "true"))
                aria-keyshortcuts=shortcut
                on:click=click
            >
                {text(move || if order.asked.get() == Some(order.command) { under_way } else { name })}
            </button>
        </OrderForm>
    }
}

#[component]
fn Cancel(order: Order, open: bool) -> impl IntoView {
    // Without JavaScript the page of a running job keeps reloading, which would close the question.
    let ask = format!(
        r#"<a class="button button-quiet-danger" href="/jobs/{}?ask=cancel">Cancel…</a>"#,
        order.job_id
    );
    view! {
        <div>
            <noscript inner_html=ask></noscript>
            <Confirm
                open
                id="cancel-job"
                button="Cancel…"
                button_class="button button-quiet-danger scripted"
                question="Cancel this job?"
                dismiss="Keep running"
                error=order.error
            >
                <p>
                    "Rows already checked are kept. To check the rest you'll have to start over."
                </p>
                <OrderForm order>
                    <button
                        class="button button-danger"
                        aria-disabled=some_text(move || order.asked.get().map(|_| "true"))
                    >
                        {text(move || match order.asked.get() {
                            Some(Command::Cancel) => "Cancelling…",
                            _ => "Cancel job",
                        })}
                    </button>
                </OrderForm>
            </Confirm>
        </div>
    }
}
