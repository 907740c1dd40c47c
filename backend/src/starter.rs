//! Starts jobs with small files, those that are asked for at the same moment in one workflow: a workflow costs
//! Temporal more than such a file costs all the others.
//!
//! As databases commit in groups: the first request goes at once, and those that come in while it is under way
//! go together when it is done. Nobody waits for company.

use std::sync::Arc;

use anyhow::anyhow;
use domain::Job;
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

use crate::{
    Error, QuotaDefaults, Result,
    jobs::transition,
    temporal::{Attempt, Temporal},
    traces::{TARGET, traced},
};

/// Attempts that share a workflow at most: one worker has it, others are to get some too.
const TOGETHER: usize = 32;

struct Request {
    attempt: Attempt,
    /// Where the attempt was asked for, in a trace.
    asked_in: Span,
    answer: oneshot::Sender<Result<Option<Job>>>,
}

#[derive(Clone)]
pub(crate) struct Starter {
    pool: PgPool,
    temporal: Temporal,
    quotas: QuotaDefaults,
    requests: mpsc::UnboundedSender<Request>,
    /// Whoever has it starts what has come in meanwhile.
    waiting: Arc<Mutex<mpsc::UnboundedReceiver<Request>>>,
}

impl Starter {
    pub fn new(pool: PgPool, temporal: Temporal, quotas: QuotaDefaults) -> Self {
        let (requests, waiting) = mpsc::unbounded_channel();
        Self {
            pool,
            temporal,
            quotas,
            requests,
            waiting: Arc::new(Mutex::new(waiting)),
        }
    }

    /// Starts a workflow for this attempt and lets it begin. Returns the job unless it could not begin, because it is
    /// no longer at rest in the attempt before.
    pub async fn start(&self, attempt: Attempt) -> Result<Option<Job>> {
        let span = tracing::info_span!(
            target: TARGET,
            "start small file",
            otel.status_code = Empty,
            batchline.job.id = attempt.job_id.get(),
        );
        let (answer, answered) = oneshot::channel();
        let request = Request {
            attempt,
            asked_in: span.clone(),
            answer,
        };
        // The receiver is in `self`.
        let _ = self.requests.send(request);
        // A task of its own, so that a client that goes away takes nobody's start with it.
        tokio::spawn(start_those_waiting(self.clone()));
        let started = async {
            answered
                .await
                .map_err(|_| anyhow!("the start was given up"))?
        };
        traced(span, started).await
    }
}

/// As many tasks as requests wait for their turn. Whichever has it takes all that have come in, and may leave
/// nothing for those after it.
async fn start_those_waiting(starter: Starter) {
    let mut waiting = starter.waiting.lock().await;
    let mut group = Vec::new();
    while group.len() < TOGETHER
        && let Ok(request) = waiting.try_recv()
    {
        group.push(request);
    }
    let Some(first) = group.first() else {
        return;
    };
    // In one of their traces, with links to the others.
    let asked_in = first.asked_in.clone();
    let begun = starter.start_together(&group).instrument(asked_in).await;
    for Request {
        attempt, answer, ..
    } in group
    {
        let own = match &begun {
            Ok(jobs) => Ok(jobs.iter().find(|job| Attempt::of(job) == attempt).cloned()),
            Err(Error::Unavailable(sentence)) => Err(Error::Unavailable(sentence.clone())),
            Err(error) => Err(Error::Internal(anyhow!("a start failed: {error:?}"))),
        };
        // An error says that the client has gone away.
        let _ = answer.send(own);
    }
}

impl Starter {
    /// Returns the jobs that have begun.
    async fn start_together(&self, group: &[Request]) -> Result<Vec<Job>> {
        let mut attempts: Vec<Attempt> = group.iter().map(|request| request.attempt).collect();
        // A job may have been asked for twice.
        attempts.sort_unstable();
        attempts.dedup();
        let workflow_id = format!("small-jobs-{}", Uuid::new_v4());
        let asked_in = group
            .iter()
            .map(|request| (request.attempt.job_id, &request.asked_in));
        self.temporal
            .start_shared(&workflow_id, attempts.clone(), asked_in)
            .await?;
        transition::begin(&self.pool, &self.quotas, &attempts, Some(&workflow_id)).await
    }
}
