//! Changes several jobs of a list at once. Plain forms post either `job` for each selected job and `command`, or `one`
//! with a command and a job, such as `start 7`.

use std::collections::BTreeSet;

use backend::{Backend, Viewer};
use domain::{Command, JobId, format};

use super::shortened;
use crate::{AppError, Notice};

/// The maximum number of jobs changed at once. A page lists fewer.
const MAX_JOBS: usize = 1000;

/// The maximum number of reasons in a notice.
const MAX_REASONS: usize = 5;

#[derive(Clone, Copy)]
enum Change {
    Command(Command),
    Delete,
}

/// Changes the jobs named by the fields, and returns a notice with the results. `None` if the fields contain no
/// command.
pub async fn change_jobs(
    backend: &Backend,
    viewer: &Viewer,
    fields: &[(String, String)],
) -> Option<Notice> {
    let is_nothing = |(name, value): &(String, String)| name == "command" && value == "none";
    if fields.iter().any(is_nothing) {
        return None;
    }
    Some(change(backend, viewer, fields).await)
}

async fn change(backend: &Backend, viewer: &Viewer, fields: &[(String, String)]) -> Notice {
    let Some((change, jobs)) = parse(fields) else {
        return Notice::new(format!(
            "Some fields didn't arrive, or more than {} jobs were selected. Reload the page and try again.",
            format::count(MAX_JOBS as u64)
        ));
    };
    if jobs.is_empty() {
        return Notice::new("Select at least one job first.");
    }
    let changed = match change {
        Change::Command(command) => give(backend, viewer, &jobs, command).await,
        Change::Delete => delete(backend, viewer, &jobs).await,
    };
    changed.unwrap_or_else(|error| Notice::new(AppError::from(error).message))
}

/// Returns the jobs named by the fields, in the order of their ids. `None` if one of them isn't a job id, or if there are
/// more than [`MAX_JOBS`].
pub fn chosen_jobs(fields: &[(String, String)]) -> Option<Vec<JobId>> {
    let ids = fields.iter().filter(|(name, _)| name == "job");
    let ids: BTreeSet<JobId> = ids.map(|(_, id)| id.parse().ok()).collect::<Option<_>>()?;
    (ids.len() <= MAX_JOBS).then(|| ids.into_iter().collect())
}

fn parse(fields: &[(String, String)]) -> Option<(Change, Vec<JobId>)> {
    let field = |name: &str| {
        let field = fields.iter().find(|(given, _)| given == name);
        field.map(|(_, value)| value.as_str())
    };
    if let Some(one) = field("one") {
        let (command, id) = one.split_once(' ')?;
        return Some((
            Change::Command(command.parse().ok()?),
            vec![id.parse().ok()?],
        ));
    }
    let change = match field("command")? {
        "delete" => Change::Delete,
        command => Change::Command(command.parse().ok()?),
    };
    Some((change, chosen_jobs(fields)?))
}

async fn give(
    backend: &Backend,
    viewer: &Viewer,
    jobs: &[JobId],
    command: Command,
) -> backend::Result<Notice> {
    let done = match command {
        Command::Start => "started",
        Command::Pause => "paused",
        Command::Resume => "resumed",
        Command::Cancel => "cancelled",
        Command::Retry => "retried",
    };
    let outcomes = backend::control::command_each(backend, viewer, jobs, command).await?;
    let (mut changed, mut unchanged, mut refused) = (Vec::new(), 0_u64, Vec::new());
    for outcome in outcomes {
        let name = (outcome.filename).map_or_else(|| format!("Job {}", outcome.job_id), shortened);
        match outcome.has_changed {
            Ok(true) => changed.push(name),
            Ok(false) => unchanged += 1,
            Err(error) => refused.push(format!("{name}: {}", AppError::from(error).message)),
        }
    }
    let mut sentences = Vec::new();
    match (changed.as_slice(), unchanged, refused.len() as u64) {
        ([], _, 1..) => sentences.push(format!("No job was {done}.")),
        ([], ..) => {}
        ([one], 0, 0) => sentences.push(format!("{one} was {done}.")),
        (several, ..) => sentences.push(were(several.len() as u64, done)),
    }
    if unchanged > 0 {
        sentences.push(match unchanged {
            1 => "1 job needed no change.".to_owned(),
            jobs => format!("{} needed no change.", format::counted(jobs, "job")),
        });
    }
    if !refused.is_empty() && !changed.is_empty() {
        sentences.push(were(refused.len() as u64, &format!("not {done}")));
    }
    let more = refused.len().saturating_sub(MAX_REASONS);
    refused.truncate(MAX_REASONS);
    Ok(Notice {
        done: sentences.join(" "),
        refused,
        more,
    })
}

async fn delete(backend: &Backend, viewer: &Viewer, jobs: &[JobId]) -> backend::Result<Notice> {
    let names = backend::queries::chosen(backend, viewer, jobs).await?;
    let deleted = backend::deletion::delete_jobs(backend, viewer, jobs).await? as u64;
    let sentence = match (names.as_slice(), deleted) {
        ([job], 1) => format!("{} was deleted.", shortened(job.filename.clone())),
        (_, 0) => "No job was deleted.".to_owned(),
        _ => were(deleted, "deleted"),
    };
    Ok(Notice::new(match jobs.len() as u64 - deleted {
        0 => sentence,
        gone => format!("{sentence} {}", were(gone, "already gone")),
    }))
}

/// Formats `1 job was started.`, `2 jobs were started.`
fn were(jobs: u64, done: &str) -> String {
    let were = if jobs == 1 { "was" } else { "were" };
    format!("{} {were} {done}.", format::counted(jobs, "job"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_single_job_takes_precedence_over_the_selected_ones() {
        let form = fields(&[
            ("job", "3"),
            ("job", "2"),
            ("job", "3"),
            ("command", "cancel"),
        ]);
        let (change, jobs) = parse(&form).unwrap();
        assert!(matches!(change, Change::Command(Command::Cancel)));
        assert_eq!(jobs, [2.into(), 3.into()]);
        let form = fields(&[("job", "3"), ("one", "retry 7")]);
        let (change, jobs) = parse(&form).unwrap();
        assert!(matches!(change, Change::Command(Command::Retry)));
        assert_eq!(jobs, [7.into()]);
        let form = fields(&[("command", "delete")]);
        assert!(matches!(parse(&form), Some((Change::Delete, jobs)) if jobs.is_empty()));
        for wrong in [
            &[("job", "3")][..],
            &[("job", "x"), ("command", "start")],
            &[("command", "destroy")],
            &[("one", "start")],
            &[("one", "delete 3")],
            &[("one", "start x")],
        ] {
            assert!(parse(&fields(wrong)).is_none(), "{wrong:?}");
        }
        let many: Vec<_> = (0..1001)
            .map(|id| ("job".to_owned(), id.to_string()))
            .collect();
        assert_eq!(chosen_jobs(&many), None);
    }
}
