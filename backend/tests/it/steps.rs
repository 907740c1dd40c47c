//! The steps of the worker, called directly. What they do to a job in any order, is tested in `state_machine`; here is
//! what they return to the workflow, which decides on it.

use std::ops::Range;

use backend::{
    Attempt,
    processing::{self, StepError},
};
use domain::{Command, JobId};
use testkit::Transactions;
use validator::Counts;

use crate::state_machine::subject::{Act, Ended, Subject};

/// Enough for several chunks.
const ROWS: u64 = 60_000;

impl Subject {
    async fn start_job(&self, file: &Transactions) -> JobId {
        let job_id = self.upload(&file.text()).await;
        self.command(job_id, Command::Start).await;
        job_id
    }

    async fn command(&self, job_id: JobId, command: Command) {
        let end = self.act(job_id, &Act::Command(command)).await;
        assert!(
            matches!(end, Ended::Done(Some(true))),
            "{command:?}: {end:?}"
        );
    }

    /// Plans and returns the chunks that are left to validate, which must be consecutive.
    async fn plan(&self, attempt: Attempt) -> Option<Range<u32>> {
        let mut ranges = processing::plan(&self.backend, attempt).await.unwrap();
        assert!(ranges.len() <= 1, "{ranges:?}");
        ranges.pop()
    }

    /// Expects that every step of this attempt finds it outdated.
    async fn expect_outdated(&self, attempt: Attempt) {
        let backend = &self.backend;
        let ends = [
            processing::plan(backend, attempt).await.map(drop),
            processing::validate_chunks(backend, attempt, 0..2, false)
                .await
                .map(drop),
            processing::fail(backend, attempt, "It was a test.").await,
            processing::process_small_file(backend, attempt, None)
                .await
                .map(drop),
        ];
        for (number, end) in ends.iter().enumerate() {
            assert!(matches!(end, Err(StepError::Outdated)), "{number}: {end:?}");
        }
        // It may have been completed by the step that planned it.
        let completed = processing::complete(backend, attempt).await;
        assert!(matches!(completed, Ok(())), "{completed:?}");
    }
}

/// Temporal repeats a step whose result was lost. The metrics count what steps return.
#[tokio::test]
async fn a_repeated_step_returns_only_what_it_has_done_itself() {
    let subject = Subject::start().await;
    let backend = &subject.backend;
    let file = Transactions::new(ROWS).with_errors();
    let job_id = subject.start_job(&file).await;
    let attempt = Attempt { job_id, number: 1 };

    let Range { start, end } = subject.plan(attempt).await.unwrap();
    assert!(start == 0 && end > 2, "{start}..{end}");
    let first = processing::validate_chunks(backend, attempt, 0..1, false)
        .await
        .unwrap();
    assert_eq!(first.chunks, 1);
    assert_eq!(
        first.counts,
        counts(file.expected_in(1..=first.counts.processed))
    );
    let again = processing::validate_chunks(backend, attempt, 0..1, false)
        .await
        .unwrap();
    assert_eq!((again.chunks, again.counts), (0, Counts::default()));
    assert_eq!(subject.plan(attempt).await, Some(1..end));
    let early = processing::complete(backend, attempt).await;
    assert!(matches!(early, Err(StepError::Defect(_))), "{early:?}");

    let rest = processing::validate_chunks(backend, attempt, 0..end, false)
        .await
        .unwrap();
    assert_eq!(rest.chunks, u64::from(end) - 1);
    let mut all = first.counts;
    all += rest.counts;
    assert_eq!(all, counts(file.expected()));
    assert_eq!(subject.plan(attempt).await, None);
    processing::complete(backend, attempt).await.unwrap();
    subject.expect_outdated(attempt).await;
}

fn counts(expected: testkit::Expected) -> Counts {
    Counts {
        processed: expected.rows,
        valid: expected.valid,
        invalid: expected.invalid,
        suspicious: expected.suspicious,
        ignored: 0,
    }
}
