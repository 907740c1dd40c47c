//! Begins attempts, and starts jobs with small files. Those that are requested at the same moment share a workflow, because
//! a workflow costs Temporal more than a small file costs all other parts.
//!
//! This works like group commit in databases: the first request is handled at once, and requests that arrive meanwhile
//! are handled together afterwards. No request is delayed to form a group.

use std::sync::Arc;

use anyhow::anyhow;
use domain::Job;
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

use crate::{
    Error, QuotaDefaults, Result,
    audit::{self, Actor, Event},
    database,
    jobs::transition,
    temporal::{Attempt, Temporal},
    traces::{self, TARGET, traced},
};

/// The maximum number of attempts that share a workflow. A workflow runs in one worker, and others should get some too.
const TOGETHER: usize = 32;

/// A request to begin an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub attempt: Attempt,
    pub actor: Actor,
    /// The event to record in the audit.
    pub event: Event<'static>,
}

/// Begins these attempts with [`transition::begin`], records those that began in the audit, and returns their jobs.
pub(crate) async fn begin(
    pool: &PgPool,
    quotas: &QuotaDefaults,
    orders: &[Order],
    shared_workflow_id: Option<&str>,
) -> Result<Vec<Job>> {
    let attempts: Vec<Attempt> = orders.iter().map(|order| order.attempt).collect();
    let begun = async {
        let mut tx = database::begin(pool).await?;
        let jobs = transition::begin(&mut tx, quotas, &attempts, shared_workflow_id).await?;
        let events: Vec<(Actor, Event)> = orders
            .iter()
            .filter(|order| jobs.iter().any(|job| Attempt::of(job) == order.attempt))
            .map(|order| (order.actor.clone(), order.event))
            .collect();
        audit::record_each(&mut *tx, &events).await?;
        tx.commit().await?;
        Ok(jobs)
    };
    traces::statement("update", "jobs", begun).await
}

struct Request {
    order: Order,
    /// The span of the request in its trace.
    asked_in: Span,
    answer: oneshot::Sender<Result<Option<Job>>>,
}

#[derive(Clone)]
pub(crate) struct Starter {
    pool: PgPool,
    temporal: Temporal,
    quotas: QuotaDefaults,
    requests: mpsc::UnboundedSender<Request>,
    /// The task that holds the lock starts all requests that have arrived.
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

    /// Starts a workflow for this attempt and begins it. Returns `None` if the attempt can't begin because the job is no
    /// longer at rest in the previous attempt, or if another request has begun it.
    pub async fn start(&self, order: Order) -> Result<Option<Job>> {
        let span = tracing::info_span!(
            target: TARGET,
            "start small file",
            otel.status_code = Empty,
            batchline.job.id = order.attempt.job_id.get(),
        );
        let (answer, answered) = oneshot::channel();
        let request = Request {
            order,
            asked_in: span.clone(),
            answer,
        };
        // The receiver is in `self`.
        let _ = self.requests.send(request);
        // Runs in a separate task, so that a client that disconnects doesn't cancel the starts of others.
        tokio::spawn(start_those_waiting(self.clone()));
        let started = async {
            answered
                .await
                .map_err(|_| anyhow!("the start was given up"))?
        };
        traced(span, started).await
    }
}

/// Starts the waiting requests. There is a task for each request; one that gets the lock takes all requests that have
/// arrived, and may leave none for the tasks after it.
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
    // The workflow is started in the trace of the first request, with links to the others.
    let asked_in = first.asked_in.clone();
    let started = starter.start_workflow(&group);
    let started = started.instrument(asked_in.clone()).await;
    if started.is_err() {
        // Those that have arrived meanwhile would fail in the same way, only later: each group waits for Temporal in turn.
        while let Ok(request) = waiting.try_recv() {
            group.push(request);
        }
    }
    let mut begun = match started {
        Ok((orders, workflow_id)) => {
            let begun = begin(&starter.pool, &starter.quotas, &orders, Some(&workflow_id));
            database::in_time(begun.instrument(asked_in)).await
        }
        Err(error) => Err(error),
    };
    for Request { order, answer, .. } in group {
        let own = match &mut begun {
            // Of several requests for the same attempt, the first has begun it.
            Ok(jobs) => {
                let own = jobs
                    .iter()
                    .position(|job| Attempt::of(job) == order.attempt);
                Ok(own.map(|own| jobs.swap_remove(own)))
            }
            Err(Error::Unavailable(sentence)) => Err(Error::Unavailable(sentence.clone())),
            Err(error) => Err(Error::Internal(anyhow!("a start failed: {error:?}"))),
        };
        // An error says that the client has gone away.
        let _ = answer.send(own);
    }
}

impl Starter {
    /// Starts a workflow for these requests. Returns each attempt once, and the id of the workflow.
    async fn start_workflow(&self, group: &[Request]) -> Result<(Vec<Order>, String)> {
        let mut orders: Vec<Order> = group.iter().map(|request| request.order.clone()).collect();
        // A job may have been asked for twice.
        orders.sort_by_key(|order| order.attempt);
        orders.dedup_by_key(|order| order.attempt);
        let attempts = orders.iter().map(|order| order.attempt).collect();
        let workflow_id = format!("small-jobs-{}", Uuid::new_v4());
        let asked_in = group
            .iter()
            .map(|request| (request.order.attempt.job_id, &request.asked_in));
        self.temporal
            .start_shared(&workflow_id, attempts, asked_in)
            .await?;
        Ok((orders, workflow_id))
    }
}
