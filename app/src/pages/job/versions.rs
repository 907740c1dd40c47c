use backend::versions::{Changes, Versions};
use domain::{Job, JobStatus, format};
use leptos::prelude::*;

use crate::components::{FileName, StatusBadge, Time};

/// The versions of the job's file, and how the errors of the previous one changed.
#[component]
pub fn VersionList<'a>(job: &'a Job, versions: Versions) -> impl IntoView + use<> {
    let Versions {
        jobs,
        corrects,
        changes,
    } = versions;
    let own = job.id;
    let panel = (!jobs.is_empty()).then(|| {
        let version = |job: Job| {
            let is_own = job.id == own;
            let errors = (job.state.status == JobStatus::Completed).then(|| {
                let (invalid, rows) = (job.state.invalid_records, job.state.total_records);
                format!(
                    "{} of {} invalid",
                    format::count(invalid),
                    format::counted(rows, "row")
                )
            });
            let note = match (is_own, corrects == Some(job.id)) {
                (true, _) => Some("this one"),
                (false, true) => Some("corrected by this one"),
                _ => None,
            };
            view! {
                <li>
                    <a href=format!("/jobs/{}", job.id) aria-current=is_own.then_some("page")>
                        <FileName name=job.filename />
                    </a>
                    <StatusBadge job=Signal::stored(job.state) />
                    <span class="muted">
                        {errors} " " <Time at=format::machine_time(job.created_at) />
                        {note.map(|note| format!(" ({note})"))}
                    </span>
                </li>
            }
        };
        view! {
            <section class="panel versions" aria-labelledby="versions-title">
                <h2 id="versions-title">"Versions of this file"</h2>
                {changes.map(changed)}
                <ol>{jobs.into_iter().map(version).collect_view()}</ol>
            </section>
        }
    });
    view! {
        <div id="versions" data-part>
            {panel}
        </div>
    }
    .into_any()
}

fn changed(changes: Changes) -> impl IntoView {
    let sentence = sentence(&changes);
    let kinds = changes.kinds.into_iter().map(|(code, before, now)| {
        view! {
            <li>
                {code.title()} ": "
                {format!("{} before, {} now", format::count(before), format::count(now))}
            </li>
        }
    });
    view! {
        <p class="headline">{sentence}</p>
        <details class="disclosure">
            <summary>"By kind of error"</summary>
            <ul class="plain-list">{kinds.collect_view()}</ul>
        </details>
    }
}

fn sentence(changes: &Changes) -> String {
    let Changes {
        before, fixed, new, ..
    } = *changes;
    let be = |errors: u64| if errors == 1 { "is" } else { "are" };
    let fixed = match (before, fixed) {
        (0, _) => "The previous version had no errors".to_owned(),
        (1, 0) => "The only error isn't fixed".to_owned(),
        (1, 1) => "The only error is fixed".to_owned(),
        (before, fixed) if before == fixed => {
            format!("All {} are fixed", format::counted(before, "error"))
        }
        (before, fixed) => format!(
            "{} of {} {} fixed",
            format::count(fixed),
            format::counted(before, "error"),
            be(fixed)
        ),
    };
    match new {
        0 => format!("{fixed}."),
        new => format!("{fixed}; {} {} new.", format::count(new), be(new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_agree_with_their_numbers() {
        for (before, fixed, new, expect) in [
            (36, 12, 1, "12 of 36 errors are fixed; 1 is new."),
            (36, 1, 0, "1 of 36 errors is fixed."),
            (36, 36, 0, "All 36 errors are fixed."),
            (1, 1, 0, "The only error is fixed."),
            (1, 0, 2, "The only error isn't fixed; 2 are new."),
            (0, 0, 3, "The previous version had no errors; 3 are new."),
        ] {
            let kinds = Vec::new();
            let changes = Changes {
                before,
                fixed,
                new,
                kinds,
            };
            assert_eq!(sentence(&changes), expect);
        }
    }
}
