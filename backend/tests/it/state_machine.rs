//! Compares a job with a model under commands, steps of current and older attempts, and dying workers, in any order and
//! concurrently.
//!
//! The result of two concurrent acts, or of one that breaks off, isn't determined. So the model computes every possible
//! result and continues with the one in the database. The reference of `proptest-state-machine` must know its next state
//! without asking the subject, so only `proptest` itself is used. `PROPTEST_CASES` runs more cases than the default.

mod model;
pub mod subject;

use domain::{Command, JobId, JobStatus};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use self::{
    model::{Model, Sequence},
    subject::{Act, Ended, File, Subject},
};

/// The number of cases without `PROPTEST_CASES`.
const CASES: u32 = 32;

/// An act that is still to choose its attempt and chunks, depending on the job's state when its turn comes.
#[derive(Debug, Clone)]
enum Intent {
    /// Moves the job forward, as a person or a worker would do next.
    Next,
    Command(Command),
    Delete,
    Step(StepKind, Age),
}

#[derive(Debug, Clone, Copy)]
enum StepKind {
    /// Does all the work for a small file.
    Plan,
    /// The first chunk and the number of chunks.
    Validate(u32, u32),
    Complete,
    Fail,
}

/// The attempt that a step belongs to, as the number of later attempts. -1 is the next one, whose workflow has started
/// before the server could record it.
type Age = i64;

#[derive(Debug, Clone)]
enum Operation {
    One(Intent),
    /// A step whose worker dies after it has been woken up this many times.
    Dies(Intent, u32),
    Both(Intent, Intent),
}

fn intent() -> impl Strategy<Value = Intent> {
    let kind = prop_oneof![
        2 => Just(StepKind::Plan),
        3 => (0..5_u32, 1..4_u32).prop_map(|(first, count)| StepKind::Validate(first, count)),
        2 => Just(StepKind::Complete),
        1 => Just(StepKind::Fail),
    ];
    prop_oneof![
        24 => Just(Intent::Next),
        12 => select(Command::ALL.to_vec()).prop_map(Intent::Command),
        12 => (kind, -1..3_i64).prop_map(|(kind, age)| Intent::Step(kind, age)),
        1 => Just(Intent::Delete),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => intent().prop_map(Operation::One),
        2 => (intent(), 0..24_u32).prop_map(|(intent, wakes)| Operation::Dies(intent, wakes)),
        3 => (intent(), intent()).prop_map(|(first, second)| Operation::Both(first, second)),
    ]
}

impl Intent {
    fn act(&self, job: &Model, file: &File) -> Act {
        match self {
            Self::Next => next(job, file),
            Self::Command(command) => Act::Command(*command),
            Self::Delete => Act::Delete,
            Self::Step(kind, age) => {
                let run = u32::try_from(i64::from(job.run) - age).unwrap_or(1).max(1);
                match *kind {
                    StepKind::Plan if file.is_small => Act::Small(run),
                    StepKind::Plan => Act::Plan(run),
                    StepKind::Validate(first, count) => {
                        let first = first.min(file.chunks() - 1);
                        Act::Validate(run, first..file.chunks().min(first + count))
                    }
                    StepKind::Complete => Act::Complete(run),
                    StepKind::Fail => Act::Fail(run),
                }
            }
        }
    }
}

/// Returns the act that moves the job forward.
fn next(job: &Model, file: &File) -> Act {
    let open = (0..file.chunks()).find(|number| !job.committed.contains(number));
    match (job.status, open) {
        (JobStatus::Pending, _) => Act::Command(Command::Start),
        (JobStatus::Paused, _) => Act::Command(Command::Resume),
        (JobStatus::Failed | JobStatus::Cancelled, _) => Act::Command(Command::Retry),
        (JobStatus::Completed, _) => Act::Complete(job.run),
        (JobStatus::Processing, _) if file.is_small => Act::Small(job.run),
        (JobStatus::Processing, _) if !job.is_planned => Act::Plan(job.run),
        (JobStatus::Processing, Some(open)) => {
            Act::Validate(job.run, open..file.chunks().min(open + 2))
        }
        (JobStatus::Processing, None) => Act::Complete(job.run),
    }
}

struct Case<'a> {
    subject: &'a Subject,
    file: &'a File,
    job_id: JobId,
    model: Model,
    version: i64,
    /// Changes that a dead worker may already have sent to the database, which may still apply them.
    late: Vec<Sequence>,
}

impl Case<'_> {
    async fn operate(&mut self, operation: &Operation) {
        let (subject, job_id) = (self.subject, self.job_id);
        let acts: Vec<Act> = match operation {
            Operation::One(intent) | Operation::Dies(intent, _) => {
                vec![intent.act(&self.model, self.file)]
            }
            Operation::Both(first, second) => [first, second]
                .map(|intent| intent.act(&self.model, self.file))
                .into(),
        };
        let ends = match (operation, &acts[..]) {
            (Operation::Dies(_, wakes), [act]) if act.is_step() => {
                vec![subject.act_and_die(job_id, act, *wakes).await]
            }
            (_, [first, second]) => {
                let (first, second) =
                    tokio::join!(subject.act(job_id, first), subject.act(job_id, second));
                vec![first, second]
            }
            _ => vec![subject.act(job_id, &acts[0]).await],
        };
        let is_alone = acts.len() == 1 && self.late.is_empty();
        let sequences: Vec<Sequence> = acts
            .iter()
            .zip(&ends)
            .map(|(act, end)| Sequence {
                changes: act.changes(),
                may_break_off: matches!(end, Ended::Died)
                    || !is_alone && matches!(end, Ended::Failed(_)),
            })
            .collect();
        if acts
            .iter()
            .any(|act| matches!(act, Act::Plan(_) | Act::Small(_)))
        {
            subject.no_plan_is_unfinished(job_id).await;
        }
        let (observed, version) = subject.observe(job_id, self.file).await;
        let mut all = sequences.clone();
        all.append(&mut self.late);
        let possible = self.model.after(&all, self.file.chunks());
        assert!(
            possible.contains(&observed),
            "{acts:?} ended as {ends:?}\nbefore: {:?}\nafter: {observed:?}\npossible: {possible:#?}",
            self.model
        );
        if is_alone && let [Ended::Done(Some(has_changed))] = ends[..] {
            assert_eq!(has_changed, observed != self.model, "{acts:?}");
        }
        if is_alone && let ([Act::Command(command)], [end]) = (&acts[..], &ends[..]) {
            let is_refused = self.model.is_deleted || command.effect_on(self.model.status).is_err();
            assert_eq!(is_refused, matches!(end, Ended::Refused), "{acts:?}");
        }
        assert!(version >= self.version);
        assert!(version > self.version || observed == self.model, "{acts:?}");
        self.late = sequences
            .into_iter()
            .zip(&ends)
            .filter_map(|(sequence, end)| matches!(end, Ended::Died).then_some(sequence))
            .collect();
        self.model = observed;
        self.version = version;
    }
}

async fn run(subject: &Subject, file: &File, operations: &[Operation]) {
    subject.clear().await;
    let job_id = subject.upload(&file.content).await;
    let mut case = Case {
        subject,
        file,
        job_id,
        model: Model::uploaded(),
        version: 0,
        late: Vec::new(),
    };
    for operation in operations {
        case.operate(operation).await;
    }
    // Whatever has happened, the job can be completed.
    let mut left = 6 + file.chunks();
    while !case.model.is_deleted && case.model.status != JobStatus::Completed {
        left = left.checked_sub(1).expect("it gets no further");
        case.operate(&Operation::One(Intent::Next)).await;
    }
    if !case.model.is_deleted {
        subject.check_results(job_id, file).await;
        case.operate(&Operation::One(Intent::Delete)).await;
    }
    subject.nothing_is_left().await;
}

#[test]
fn a_job_matches_its_model() {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let mut runner = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(
            Config {
                cases: CASES,
                ..config
            },
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        ),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (subject, files) = runtime.block_on(async {
        let subject = Subject::start().await;
        let files = [
            subject.file(50, true).await,
            subject.file(4_400, false).await,
        ];
        subject.nothing_is_left().await;
        (subject, files)
    });
    let cases = (any::<bool>(), prop::collection::vec(operation(), 8..24));
    let outcome = runner.run(&cases, |(is_small, operations)| {
        let file = &files[usize::from(!is_small)];
        runtime.block_on(run(&subject, file, &operations));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
