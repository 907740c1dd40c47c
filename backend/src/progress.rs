//! From a commit to every open page: Postgres `NOTIFY`, one listener per server process, and a
//! broadcast to its sockets.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use domain::{Job, JobProgress};
use sqlx::{PgPool, PgTransaction, postgres::PgListener};
use tokio::sync::broadcast;

use crate::{Backend, Result, jobs::JobRow};

const CHANNEL: &str = "job_progress";
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Commits a transaction that changed these jobs, thereby tells all servers their new states, and gives them.
pub(crate) async fn commit(
    mut tx: PgTransaction<'_>,
    changed: impl IntoIterator<Item = JobRow>,
) -> Result<Vec<Job>> {
    let jobs: Vec<Job> = changed
        .into_iter()
        .map(Job::try_from)
        .collect::<Result<_>>()?;
    let messages: Vec<String> = jobs
        .iter()
        .map(|job| serde_json::to_string(&JobProgress::from(job)))
        .collect::<Result<_, _>>()
        .map_err(anyhow::Error::new)?;
    sqlx::query!(
        "select pg_notify($1, message) from unnest($2::text[]) as message",
        CHANNEL,
        &messages
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(jobs)
}

/// What a subscriber gets.
#[derive(Debug, Clone)]
pub enum Event {
    Progress(Arc<JobProgress>),
    /// Messages may have been lost: read the state anew.
    Resync,
}

/// Hands what the database announces to any number of subscribers in this process.
#[derive(Clone)]
pub struct ProgressHub {
    events: broadcast::Sender<Event>,
}

impl ProgressHub {
    /// Messages that a subscriber may lag behind before it must read the state anew.
    const CAPACITY: usize = 1024;

    /// Starts listening, and goes on until the process ends: a lost connection is made again, and
    /// then the subscribers are told to read the state anew.
    pub async fn start(backend: &Backend) -> anyhow::Result<Self> {
        let mut listener = listen(&backend.pool).await?;
        let (events, _) = broadcast::channel(Self::CAPACITY);
        let hub = Self {
            events: events.clone(),
        };
        let pool = backend.pool.clone();
        tokio::spawn(async move {
            loop {
                let event = match listener.try_recv().await {
                    Ok(Some(notification)) => match serde_json::from_str(notification.payload()) {
                        Ok(progress) => Event::Progress(Arc::new(progress)),
                        Err(error) => {
                            tracing::error!(%error, "a progress message can't be read");
                            continue;
                        }
                    },
                    lost => {
                        tracing::warn!(error = ?lost.err(), "the progress listener lost PostgreSQL");
                        listener = listen_again(&pool).await;
                        Event::Resync
                    }
                };
                // An error only says that nobody is watching.
                let _ = events.send(event);
            }
        });
        Ok(hub)
    }

    /// Everything announced from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

async fn listen(pool: &PgPool) -> anyhow::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool)
        .await
        .context("listening for progress")?;
    // Whoever reconnects must also tell the subscribers, so the listener doesn't do it by itself.
    listener.eager_reconnect(false);
    listener
        .listen(CHANNEL)
        .await
        .context("listening for progress")?;
    Ok(listener)
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

/// The present state of the user's active jobs, and of those in `also`, whatever became of them.
pub async fn states(backend: &Backend, user_id: i64, also: &[i64]) -> Result<Vec<JobProgress>> {
    sqlx::query_as!(
        JobRow,
        "select * from jobs
         where user_id = $1 and (status in ('processing', 'paused') or id = any($2))
         order by id",
        user_id,
        also
    )
    .fetch_all(&backend.pool)
    .await?
    .into_iter()
    .map(|row| Ok(JobProgress::from(&Job::try_from(row)?)))
    .collect()
}
