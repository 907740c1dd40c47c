//! Delivers changes to every open page: PostgreSQL's `NOTIFY`, one listener per server process, and a broadcast to its
//! sockets.
//!
//! A message carries the whole state and its version, so a late or lost one does no harm. Committing a `NOTIFY` takes a
//! lock on the whole database until the commit has reached the disk. Starts, stops and deletions notify in their own
//! transaction, and so do plans. Uploads, chunks and small files are committed without, and a [`Publisher`] follows.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use domain::{JobDeleted, JobId, JobProgress, UserId};
use serde::Serialize;
use sqlx::{
    PgConnection, PgPool,
    postgres::{PgListener, PgNotification},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::query;
use crate::{Error, Result, database};

const CHANNEL: &str = "job_progress";
/// A trigger sends the id of a user whose sessions, tokens or role have changed.
const ACCESS_CHANNEL: &str = "access_changed";
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// How long nothing may arrive before the connection is tried, and how long an answer may take. If a firewall has
/// forgotten the connection, nothing would ever arrive.
const QUIET: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(5);

/// What is added to the time in which messages may have been lost, because changes are announced after they were made.
const MARGIN: Duration = Duration::from_secs(5);

/// The time between two publications of progress.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long a publication may take. If a firewall forgets the connection while it waits, it would never end.
const PUBLICATION: Duration = Duration::from_secs(10);

/// The number of requests that can wait to be published, and of jobs that wait after a publication has failed. It is only
/// exceeded while PostgreSQL is slow or away; progress is then skipped.
const WAITING: usize = 1024;

/// Publishes these states when the transaction commits.
pub(crate) async fn notify(tx: &mut PgConnection, states: &[JobProgress]) -> Result<()> {
    send(tx, states).await
}

/// Publishes these deletions when the transaction commits.
pub(crate) async fn notify_deleted(tx: &mut PgConnection, deleted: &[JobDeleted]) -> Result<()> {
    send(tx, deleted).await
}

async fn send(tx: &mut PgConnection, messages: &[impl Serialize]) -> Result<()> {
    let messages: Vec<String> = messages
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()
        .map_err(anyhow::Error::new)?;
    sqlx::query!(
        "select pg_notify($1, message) from unnest($2::text[]) as message",
        CHANNEL,
        &messages
    )
    .execute(tx)
    .await?;
    Ok(())
}

struct Request {
    job_id: JobId,
    /// Notified when the state is published. Without it, the request may wait to be sent along with others.
    done: Option<oneshot::Sender<()>>,
}

/// Publishes the current states of jobs: progress about ten times a second, however often and for however many jobs it
/// is requested, and changes at once. All that is waiting is published in one transaction.
#[derive(Clone)]
pub(crate) struct Publisher(mpsc::Sender<Request>);

impl Publisher {
    pub(crate) fn start(pool: PgPool) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING);
        tokio::spawn(publish(pool, waiting));
        Self(requests)
    }

    /// Requests a publication of the job's state soon.
    pub(crate) fn progress(&self, job_id: JobId) {
        // A full queue holds plenty of other states, and the next chunk requests it again.
        let _ = self.0.try_send(Request { job_id, done: None });
    }

    /// Publishes the job's state at once and waits until that is done. Fails if it can't be published.
    pub(crate) async fn change(&self, job_id: JobId) -> anyhow::Result<()> {
        let (done, published) = oneshot::channel();
        let done = Some(done);
        let sent = self.0.send(Request { job_id, done }).await;
        sent.map_err(|_| anyhow!("nothing is published any more"))?;
        published.await.context("a job's state was not published")
    }
}

async fn publish(pool: PgPool, mut requests: mpsc::Receiver<Request>) {
    let mut jobs = BTreeSet::new();
    let mut waiting = Vec::new();
    let mut due = Instant::now();
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some(request) = request else { return };
                let mut next = Some(request);
                while let Some(Request { job_id, done }) = next {
                    jobs.insert(job_id);
                    waiting.extend(done);
                    next = requests.try_recv().ok();
                }
            }
            () = sleep_until(due), if !jobs.is_empty() => {}
        }
        if jobs.is_empty() || (waiting.is_empty() && Instant::now() < due) {
            continue;
        }
        due = Instant::now() + INTERVAL;
        let job_ids: Vec<JobId> = std::mem::take(&mut jobs).into_iter().collect();
        let waiting = std::mem::take(&mut waiting);
        // After a failure, dropping the senders notifies the callers.
        let is_away = match timeout(PUBLICATION, publish_states(&pool, &job_ids)).await {
            Ok(Ok(())) => {
                // An error means that the caller has stopped waiting.
                waiting.into_iter().for_each(|done: oneshot::Sender<()>| {
                    let _ = done.send(());
                });
                false
            }
            Ok(Err(error)) => {
                tracing::debug!(?error, "progress could not be published");
                // Anything else would fail again, together with all that is published later.
                matches!(error, Error::Unavailable(_))
            }
            Err(_) => {
                tracing::warn!("publishing progress took too long");
                true
            }
        };
        if is_away {
            // Nothing may follow that publishes them: for a new job, this was the only message.
            jobs.extend(job_ids.into_iter().take(WAITING));
            due = Instant::now() + RECONNECT_PAUSE;
        }
    }
}

async fn publish_states(pool: &PgPool, job_ids: &[JobId]) -> Result<()> {
    let mut connection = pool.acquire().await?;
    let states = query::states(&mut *connection, job_ids).await?;
    notify(&mut connection, &states).await
}

/// A message to a subscriber.
#[derive(Debug, Clone)]
pub enum Event {
    Progress(Arc<JobProgress>),
    Deleted(JobDeleted),
    /// A user may have been signed out.
    AccessChanged(UserId),
    /// Messages may have been lost during this time, which ends now: read the state again.
    Resync(Duration),
}

/// Broadcasts notifications of the database to any number of subscribers in this process.
#[derive(Clone)]
pub struct ProgressHub {
    events: broadcast::Sender<Event>,
}

impl ProgressHub {
    /// The number of messages that a subscriber may lag behind before it has to read the state again.
    const CAPACITY: usize = 1024;

    /// Starts to listen. The task runs until the process ends; it reconnects after a lost connection, and the
    /// subscribers then have to read the state again.
    pub(crate) async fn start(pool: &PgPool) -> anyhow::Result<Self> {
        let mut listener = listen(pool).await?;
        let (events, _) = broadcast::channel(Self::CAPACITY);
        let hub = Self {
            events: events.clone(),
        };
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut heard = Instant::now();
            loop {
                let event = match next(&mut listener, &mut heard).await {
                    Ok(notification) if notification.channel() == ACCESS_CHANNEL => {
                        match notification.payload().parse() {
                            Ok(user_id) => Event::AccessChanged(user_id),
                            Err(_) => continue,
                        }
                    }
                    Ok(notification) => {
                        let message = notification.payload();
                        match JobProgress::from_json(message) {
                            Ok(progress) => Event::Progress(Arc::new(progress)),
                            Err(error) => match JobDeleted::from_json(message) {
                                Some(deleted) => Event::Deleted(deleted),
                                None => {
                                    tracing::error!(%error, "a progress message can't be read");
                                    continue;
                                }
                            },
                        }
                    }
                    Err(error) => {
                        let error = format!("{error:#}");
                        tracing::warn!(error, "the progress listener lost PostgreSQL");
                        listener = listen_again(&pool).await;
                        Event::Resync(heard.elapsed() + MARGIN)
                    }
                };
                // An error means that there are no subscribers.
                let _ = events.send(event);
            }
        });
        Ok(hub)
    }

    /// Subscribes to all events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

async fn listen(pool: &PgPool) -> anyhow::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool)
        .await
        .context("listening for progress")?;
    // Reconnecting has to notify the subscribers, so the listener must not do it by itself.
    listener.eager_reconnect(false);
    listener
        .listen_all([CHANNEL, ACCESS_CHANNEL])
        .await
        .context("listening for progress")?;
    Ok(listener)
}

/// Waits for the next notification. Fails if the connection is lost. `heard` is when anything was last received.
async fn next(listener: &mut PgListener, heard: &mut Instant) -> anyhow::Result<PgNotification> {
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(received) => {
                let notification = received?.context("it has ended the connection")?;
                *heard = Instant::now();
                return Ok(notification);
            }
            Err(_) => timeout(ANSWER, database::answers(&mut *listener))
                .await
                .context("it doesn't answer")??,
        }
        *heard = Instant::now();
    }
}

async fn listen_again(pool: &PgPool) -> PgListener {
    loop {
        match listen(pool).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "PostgreSQL is still away");
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}
