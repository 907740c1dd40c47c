use backend::ListedJob;
use chrono::{DateTime, Utc};
use domain::{Command, Job, JobStatus, format};
use leptos::prelude::*;

use crate::components::{Age, FileName, JobProgressBar, StatusBadge, job_news};

#[component]
pub fn Row(
    listed: ListedJob,
    has_user: bool,
    /// Whether it can be selected without JavaScript, too.
    can_select: bool,
    is_chosen: bool,
    now: DateTime<Utc>,
) -> impl IntoView {
    let ListedJob { job, user_name } = listed;
    let Job {
        id,
        filename,
        bytes,
        created_at,
        state,
        ..
    } = job;
    let job = Signal::stored(state.clone());
    let user = has_user.then(|| {
        view! {
            <td role="cell" class="user">
                <a href=format!("/users/{}", state.user_id)>
                    <bdi>{user_name}</bdi>
                </a>
            </td>
        }
    });
    let error = (state.status == JobStatus::Failed).then(|| {
        view! { <p class="cell-error">{state.error.clone()}</p> }
    });
    let progress = state.status.is_active().then(|| {
        view! { <JobProgressBar job filename=filename.clone() /> }
    });
    let has_rows = state.processed_records > 0 || state.status == JobStatus::Completed;
    let rows = match state.total_records {
        0 if !has_rows => "–".to_owned(),
        rows => format::count(rows),
    };
    let invalid = match (has_rows, state.invalid_records) {
        (false, _) => "–".into_any(),
        (true, 0) => "0".into_any(),
        (true, invalid) => view! {
            <a href=format!("/jobs/{id}?filter=invalid#rows")>{format::count(invalid)}</a>
            " "
            <span class="share">{format::share(invalid, state.processed_records)}</span>
        }
        .into_any(),
    };
    let class = if can_select {
        "select"
    } else {
        "select scripted"
    };
    let command = command(&job).map(|(command, name)| {
        view! {
            <button
                class="button button-small"
                name="one"
                value=format!("{} {id}", command.as_str())
                aria-label=format!("{name} {filename}")
            >
                {name}
            </button>
        }
    });
    view! {
        // The id lets the browser identify the row when the page is updated.
        <tr id=format!("job-{id}") role="row" data-news=job_news(&state, &filename)>
            <td role="cell" class=class>
                <input
                    type="checkbox"
                    name="job"
                    value=id.to_string()
                    checked=is_chosen
                    aria-label=format!("Select {filename}")
                />
            </td>
            <td role="cell" class="file">
                <a href=format!("/jobs/{id}")>
                    <FileName name=filename.clone() />
                </a>
                " "
                <span class="size">{format::bytes(bytes)}</span>
                {error}
            </td>
            {user}
            <td role="cell" class="state">
                <StatusBadge job />
                {progress}
            </td>
            <td role="cell" class="number" data-label="Rows">
                {rows}
            </td>
            <td
                role="cell"
                class="number invalid"
                data-label="Invalid"
                data-some=(state.invalid_records > 0).then_some("")
            >
                {invalid}
            </td>
            <td role="cell" class="age">
                <Age at=format::machine_time(created_at) seconds=(now - created_at).num_seconds() />
            </td>
            <td role="cell" class="act">
                {command}
            </td>
        </tr>
    }
    .into_any()
}

/// Returns the main command for a job in this state, and the text of its button. A retry isn't offered if the file is
/// the cause of the failure, because it would fail again.
fn command(job: &Signal<domain::JobState>) -> Option<(Command, &'static str)> {
    let (status, is_file_wrong) = job.with_untracked(|job| (job.status, job.error_code.is_some()));
    match status {
        JobStatus::Pending => Some((Command::Start, "Start")),
        JobStatus::Processing => Some((Command::Pause, "Pause")),
        JobStatus::Paused => Some((Command::Resume, "Resume")),
        JobStatus::Failed if is_file_wrong => None,
        JobStatus::Failed | JobStatus::Cancelled => Some((Command::Retry, "Retry")),
        JobStatus::Completed => None,
    }
}
