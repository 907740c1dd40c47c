//! The activities: each is one call into `backend`, kept alive by heartbeats.

use std::{ops::Range, sync::Arc, time::Duration};

use backend::{
    Attempt, Backend, maintenance,
    processing::{self, StepError},
};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use temporalio_macros::activities;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::Instrument;

use crate::{job_metrics::JobMetrics, traces};

/// The time without a heartbeat after which an activity is given to another worker.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Types of failures that retrying can't fix. The workflow distinguishes them by these names.
pub const OUTDATED: &str = "Outdated";
pub const UNREADABLE: &str = "Unreadable";
pub const DEFECT: &str = "Defect";

/// Few, because their verdicts are held in memory together and each commit advances the progress.
const CHUNKS_IN_A_COMMIT: usize = 4;

/// Up to this many chunks of a local file are validated by the activity that plans them. For a million rows, two more
/// activities in sequence would add a third to the job's time. More chunks, and chunks in a remote store, are worth
/// sharing among workers.
const CHUNKS_AFTER_PLAN: usize = 64;

pub struct Activities {
    pub backend: Backend,
    pub metrics: JobMetrics,
    /// Bounds the groups of chunks that are validated and committed at the same time, across all activities.
    groups: Semaphore,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chunks {
    #[serde(rename = "run")]
    pub attempt: Attempt,
    pub numbers: Range<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    #[serde(rename = "run")]
    pub attempt: Attempt,
    /// A sentence for the user who uploaded the file.
    pub error: String,
}

#[activities]
impl Activities {
    /// Plans a job. Returns the ranges of chunk numbers to validate. If there are few, it validates them and completes the
    /// job, and none are left.
    #[activity]
    pub async fn plan(
        self: Arc<Self>,
        context: ActivityContext,
        attempt: Attempt,
    ) -> Result<Vec<Range<u32>>, ActivityError> {
        let is_retry = context.info().attempt > 1;
        let step = async {
            let chunks = processing::plan(&self.backend, attempt).await?;
            let count: usize = chunks.iter().map(ExactSizeIterator::len).sum();
            if count > CHUNKS_AFTER_PLAN || !self.backend.has_local_files() {
                return Ok(chunks);
            }
            for numbers in chunks {
                self.validate_groups(attempt, numbers, is_retry).await?;
            }
            processing::complete(&self.backend, attempt).await?;
            Ok(Vec::new())
        };
        self.alive(&context, Some(attempt), step).await
    }

    /// Validates chunks and commits a few at a time. A retry continues where the previous attempt stopped.
    #[activity]
    pub async fn validate(
        self: Arc<Self>,
        context: ActivityContext,
        chunks: Chunks,
    ) -> Result<(), ActivityError> {
        let is_retry = context.info().attempt > 1;
        let step = self.validate_groups(chunks.attempt, chunks.numbers, is_retry);
        self.alive(&context, Some(chunks.attempt), step).await
    }

    /// Processes a small file in a single step.
    #[activity]
    pub async fn process(
        self: Arc<Self>,
        context: ActivityContext,
        attempt: Attempt,
    ) -> Result<(), ActivityError> {
        let workflow_id = context.info().workflow_id.as_deref();
        let step = async {
            let committed =
                processing::process_small_file(&self.backend, attempt, workflow_id).await?;
            self.metrics.committed(committed);
            Ok(())
        };
        self.alive(&context, Some(attempt), step).await
    }

    /// Marks the job as completed, unless it is already over.
    #[activity]
    pub async fn complete(
        self: Arc<Self>,
        context: ActivityContext,
        attempt: Attempt,
    ) -> Result<(), ActivityError> {
        let step = processing::complete(&self.backend, attempt);
        self.alive(&context, Some(attempt), step).await
    }

    /// Marks the job as failed, unless it is already over.
    #[activity]
    pub async fn fail(
        self: Arc<Self>,
        context: ActivityContext,
        failure: Failure,
    ) -> Result<(), ActivityError> {
        let step = async {
            match processing::fail(&self.backend, failure.attempt, &failure.error).await {
                Err(StepError::Outdated) => Ok(()),
                result => result,
            }
        };
        self.alive(&context, Some(failure.attempt), step).await
    }

    /// Deletes some of what retention no longer keeps. Returns whether there may be more.
    #[activity]
    pub async fn apply_retention(
        self: Arc<Self>,
        context: ActivityContext,
    ) -> Result<bool, ActivityError> {
        let step =
            async { Ok::<_, StepError>(maintenance::retention::apply(&self.backend).await?) };
        self.alive(&context, None, step).await
    }
}

impl Activities {
    pub fn new(backend: Backend, metrics: JobMetrics, slots: usize) -> Self {
        Self {
            backend,
            metrics,
            groups: Semaphore::new(slots),
        }
    }

    /// Validates chunks and commits a few at a time.
    async fn validate_groups(
        &self,
        attempt: Attempt,
        numbers: Range<u32>,
        is_retry: bool,
    ) -> Result<(), StepError> {
        let Range { start, end } = numbers;
        let groups = (start..end).step_by(CHUNKS_IN_A_COMMIT).map(async |first| {
            let numbers = first..end.min(first + CHUNKS_IN_A_COMMIT as u32);
            // The semaphore is never closed.
            let _permit = self.groups.acquire().await;
            let committed =
                processing::validate_chunks(&self.backend, attempt, numbers, is_retry).await?;
            self.metrics.committed(committed);
            Ok::<(), StepError>(())
        });
        try_join_all(groups).await.map(drop)
    }

    /// Runs a step with heartbeats, in a span in the trace of the attempt's job. If the activity is cancelled, the step is
    /// dropped, which rolls its transaction back.
    async fn alive<T>(
        &self,
        context: &ActivityContext,
        attempt: Option<Attempt>,
        step: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, ActivityError> {
        let step = async {
            let result = step.await;
            if let (Some(attempt), Err(error)) = (attempt, &result) {
                processing::waits(&self.backend, attempt, error).await;
            }
            result
        };
        let spans = traces::spans(context, attempt);
        let ended = self.heartbeats(context, step).instrument(spans.log);
        backend::traces::traced(spans.trace, ended).await
    }

    async fn heartbeats<T>(
        &self,
        context: &ActivityContext,
        step: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, ActivityError> {
        let began = Instant::now();
        let mut heartbeat = interval(HEARTBEAT_INTERVAL);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(step);
        let result = loop {
            tokio::select! {
                result = &mut step => break result,
                () = context.cancelled() => return Err(ActivityError::cancelled()),
                _ = heartbeat.tick() => context.record_heartbeat(()).await?,
            }
        };
        // The type is, for example, `Activities::validate`.
        let name = context.info().activity_type.rsplit(':').next();
        self.metrics
            .step(name.unwrap_or_default(), result.is_ok(), began.elapsed());
        result.map_err(|error| failure(context, &error))
    }
}

fn failure(context: &ActivityContext, error: &StepError) -> ActivityError {
    let info = context.info();
    let (kind, message) = match error {
        StepError::Outdated => (OUTDATED, error.to_string()),
        StepError::Unreadable(sentence) => (UNREADABLE, sentence.clone()),
        StepError::Defect(cause) => {
            tracing::error!(
                activity = info.activity_type,
                error = format!("{cause:#}"),
                "a step can't succeed"
            );
            (DEFECT, error.to_string())
        }
        StepError::Retry(cause) | StepError::Storage(_, cause) => {
            tracing::warn!(
                activity = info.activity_type,
                attempt = info.attempt,
                error = format!("{cause:#}"),
                "a step will be tried again"
            );
            return ActivityError::application(
                ApplicationFailure::builder(error.to_string()).build(),
            );
        }
    };
    ActivityError::application(
        ApplicationFailure::builder(message)
            .type_name(kind.to_owned())
            .non_retryable(true)
            .build(),
    )
}
