//! The audit: who did what, and when. Holds every query on the append-only table `audit_events`. Only retention deletes
//! from it, through a function of the database's owner that refuses to delete events of the last 30 days, or of longer.

use chrono::{DateTime, Utc};
use domain::{AuditEvent, AuditKind, JobId, Outcome, UserId, page_count};
use futures::{Stream, StreamExt, stream};
use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::{
    Backend, Error, Result,
    access::{Act, Means, Viewer, check_admin},
};

/// What happened, with the user and the job concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub kind: AuditKind,
    pub outcome: Outcome,
    pub user_id: Option<UserId>,
    pub job_id: Option<JobId>,
    /// The number of the job's attempt that this began. An attempt has one such event, whoever adds it first.
    pub run: Option<u32>,
    pub detail: Option<&'a str>,
}

impl<'a> Event<'a> {
    pub const fn done(kind: AuditKind) -> Self {
        Self {
            kind,
            outcome: Outcome::Done,
            user_id: None,
            job_id: None,
            run: None,
            detail: None,
        }
    }

    pub const fn refused(kind: AuditKind) -> Self {
        Self {
            outcome: Outcome::Refused,
            ..Self::done(kind)
        }
    }

    pub const fn of_user(self, user_id: UserId) -> Self {
        Self {
            user_id: Some(user_id),
            ..self
        }
    }

    pub const fn of_job(self, user_id: UserId, job_id: JobId) -> Self {
        Self {
            user_id: Some(user_id),
            job_id: Some(job_id),
            ..self
        }
    }

    /// Returns the event that began this attempt of its job.
    pub const fn of_attempt(self, number: u32) -> Self {
        Self {
            run: Some(number),
            ..self
        }
    }

    pub const fn detail(self, detail: &'a str) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }
}

/// The author of an event.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    id: Option<UserId>,
    name: String,
    means: &'static str,
    means_id: Option<i64>,
    address: Option<String>,
}

impl Actor {
    /// Returns the actor for a command that is run in a shell on the server.
    pub fn command_line() -> Self {
        Self {
            id: None,
            name: "command line".to_owned(),
            means: "command",
            means_id: None,
            address: None,
        }
    }

    /// Returns the actor for what follows from processing a job. The job's start is an event of its own.
    pub fn worker() -> Self {
        Self {
            id: None,
            name: "worker".to_owned(),
            means: "none",
            means_id: None,
            address: None,
        }
    }

    /// Returns the actor for the schedule that deletes old data.
    pub fn retention() -> Self {
        Self {
            id: None,
            name: "retention".to_owned(),
            means: "none",
            means_id: None,
            address: None,
        }
    }
}

impl From<&Viewer> for Actor {
    fn from(viewer: &Viewer) -> Self {
        let address = viewer.address().map(|address| address.to_string());
        match viewer.account() {
            Some(account) => {
                let (means, means_id) = match account.means {
                    Means::Session(id) => ("session", id.get()),
                    Means::Token { id, .. } => ("token", id.get()),
                };
                Self {
                    id: Some(account.user_id),
                    name: account.email.clone(),
                    means,
                    means_id: Some(means_id),
                    address,
                }
            }
            None => Self {
                id: None,
                name: "anyone".to_owned(),
                means: "none",
                means_id: None,
                address,
            },
        }
    }
}

/// Adds an event. Pass the transaction that makes the change, if there is one.
pub(crate) async fn record(
    database: impl PgExecutor<'_>,
    actor: impl Into<Actor>,
    event: Event<'_>,
) -> sqlx::Result<()> {
    record_each(database, &[(actor.into(), event)]).await
}

/// Adds several events. Pass the transaction that makes the changes.
pub(crate) async fn record_each(
    database: impl PgExecutor<'_>,
    events: &[(Actor, Event<'_>)],
) -> sqlx::Result<()> {
    add(database, events, Repeats::Counted).await?;
    Ok(())
}

/// Whether an event that resembles one of the last minute is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Counted,
    /// Unless it is identical.
    OnceAMinute,
    /// Unless the actor is the same. Neither is it added if the user whom it concerns doesn't exist.
    OnceAMinuteByActor,
}

/// Adds an event about something that has already happened. If that fails, the event goes to the log. Returns whether the
/// event is new.
///
/// Refused accesses and downloads cost a client nothing to repeat, and nobody can delete events for 30 days. So identical
/// downloads are added once a minute, and refused accesses of the same actor once a minute, whatever they concern:
/// otherwise a loop over invented ids would fill the audit.
pub(crate) async fn note(pool: &PgPool, actor: impl Into<Actor>, event: Event<'_>) -> bool {
    let repeats = match event.kind {
        AuditKind::Access => Repeats::OnceAMinuteByActor,
        AuditKind::Download => Repeats::OnceAMinute,
        _ => Repeats::Counted,
    };
    let events = [(actor.into(), event)];
    add(pool, &events, repeats).await.unwrap_or_else(|error| {
        tracing::error!(%error, ?events, "an event could not be added to the audit");
        true
    })
}

/// Adds events and logs them, except for repeated ones. Returns whether it added any. The search for these reads at most the latest 2,000 events of a
/// kind, through an index, however many there are.
async fn add(
    database: impl PgExecutor<'_>,
    events: &[(Actor, Event<'_>)],
    repeats: Repeats,
) -> sqlx::Result<bool> {
    fn column<'a, T>(
        events: &'a [(Actor, Event<'a>)],
        value: impl Fn(&'a Actor, &'a Event<'a>) -> T,
    ) -> Vec<T> {
        let values = events.iter().map(|(actor, event)| value(actor, event));
        values.collect()
    }
    let added = sqlx::query!(
        "insert into audit_events
             (kind, outcome, actor_id, actor, means, means_id, address, user_id, job_id, run, detail)
         select kind, outcome, actor_id, actor, means, means_id, address, user_id, job_id, run, detail
         from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                     $8::bigint[], $9::bigint[], $10::integer[], $11::text[])
             as new (kind, outcome, actor_id, actor, means, means_id, address, user_id, job_id, run, detail)
         where not $12 or not exists (
             select from (
                 select at, outcome, actor_id, address, user_id, job_id, detail
                 from audit_events where kind = new.kind order by id desc limit 2000
             ) as latest
             where at between now() - interval '1 minute' and now() + interval '1 minute'
                 and latest.outcome = new.outcome
                 and latest.actor_id is not distinct from new.actor_id
                 and ($13 or (
                     latest.address is not distinct from new.address
                     and latest.user_id is not distinct from new.user_id
                     and latest.job_id is not distinct from new.job_id
                     and latest.detail is not distinct from new.detail
                 ))
         ) and (not $13 or new.user_id is null or exists (select from users where id = new.user_id))
         on conflict (job_id, run) where run is not null do nothing",
        &column(events, |_, event| event.kind.as_str()) as &[&str],
        &column(events, |_, event| event.outcome.as_str()) as &[&str],
        &column(events, |actor, _| actor.id.map(UserId::get)) as &[Option<i64>],
        &column(events, |actor, _| actor.name.as_str()) as &[&str],
        &column(events, |actor, _| actor.means) as &[&str],
        &column(events, |actor, _| actor.means_id) as &[Option<i64>],
        &column(events, |actor, _| actor.address.as_deref()) as &[Option<&str>],
        &column(events, |_, event| event.user_id.map(UserId::get)) as &[Option<i64>],
        &column(events, |_, event| event.job_id.map(JobId::get)) as &[Option<i64>],
        &column(events, |_, event| event.run.map(|run| run as i32)) as &[Option<i32>],
        &column(events, |_, event| event.detail) as &[Option<&str>],
        repeats != Repeats::Counted,
        repeats == Repeats::OnceAMinuteByActor
    )
    .execute(database)
    .await?;
    if added.rows_affected() == 0 {
        return Ok(false);
    }
    for (actor, event) in events {
        tracing::info!(
            kind = event.kind.as_str(),
            outcome = event.outcome.as_str(),
            actor = actor.name,
            actor_id = actor.id.map(UserId::get),
            means = actor.means,
            means_id = actor.means_id,
            address = actor.address,
            user_id = event.user_id.map(UserId::get),
            job_id = event.job_id.map(JobId::get),
            detail = event.detail,
            "audit"
        );
    }
    Ok(true)
}

/// Deletes up to `limit` events that are more than `days` days old, oldest first. Returns the number of deleted events.
/// PostgreSQL refuses fewer days than [`audit_retention::get`](crate::database::audit_retention::get) returns.
pub(crate) async fn delete_old(tx: &mut PgConnection, days: u64, limit: i64) -> sqlx::Result<u64> {
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    let deleted = sqlx::query_scalar!(
        r#"select delete_audit_events($1, $2) as "deleted!""#,
        days,
        limit
    )
    .fetch_one(tx)
    .await?;
    Ok(deleted as u64)
}

/// Selects events.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter {
    /// The user who acted, or who is concerned.
    pub user_id: Option<UserId>,
    pub kind: Option<AuditKind>,
}

/// A page of events, newest first.
pub struct AuditPage {
    /// The page number, from 1.
    pub page: u64,
    pub events: Vec<AuditEvent>,
    /// The number of events on all pages.
    pub total: u64,
}

impl AuditPage {
    pub const SIZE: u64 = 50;
}

/// Returns the page with this number, or the last one if there are fewer. Requires an admin.
pub async fn page(
    backend: &Backend,
    viewer: &Viewer,
    filter: AuditFilter,
    page: u64,
) -> Result<AuditPage> {
    check_admin(&backend.pool, viewer, Act::Read).await?;
    let user_id = filter.user_id.map(UserId::get);
    let kind = filter.kind.map(AuditKind::as_str);
    let total = sqlx::query_scalar!(
        r#"select count(*) as "total!" from audit_events
           where ($1::bigint is null or actor_id = $1 or user_id = $1) and ($2::text is null or kind = $2)"#,
        user_id,
        kind
    )
    .fetch_one(&backend.pool)
    .await? as u64;
    let page = page.clamp(1, page_count(total, AuditPage::SIZE));
    let events = sqlx::query_as!(
        Stored,
        "select id, at, kind, outcome, actor_id, actor, means, means_id, address, user_id, job_id, detail
         from audit_events
         where ($1::bigint is null or actor_id = $1 or user_id = $1) and ($2::text is null or kind = $2)
         order by id desc limit $3 offset $4",
        user_id,
        kind,
        AuditPage::SIZE as i64,
        ((page - 1) * AuditPage::SIZE) as i64
    )
    .fetch_all(&backend.pool)
    .await?;
    let events = events.into_iter().map(AuditEvent::try_from);
    Ok(AuditPage {
        page,
        events: events.collect::<Result<_>>()?,
        total,
    })
}

/// The number of events read at a time.
const PIECE: i64 = 1000;

/// Returns all events that match the filter, oldest first, each as a line of JSON. Requires an admin.
pub async fn export(
    backend: &Backend,
    viewer: &Viewer,
    filter: AuditFilter,
) -> Result<impl Stream<Item = Result<String>> + use<>> {
    check_admin(&backend.pool, viewer, Act::Read).await?;
    note(&backend.pool, viewer, Event::done(AuditKind::ReadAudit)).await;
    let pool = backend.pool.clone();
    // Without this bound, new events could keep an export going forever.
    let last = sqlx::query_scalar!(r#"select coalesce(max(id), 0) as "last!" from audit_events"#)
        .fetch_one(&pool)
        .await?;
    let pieces = stream::try_unfold(0, move |after| {
        let pool = pool.clone();
        async move {
            let events = piece(&pool, filter, after, last).await?;
            Ok::<_, Error>(events.last().map(|event| event.id).map(|id| (events, id)))
        }
    });
    Ok(pieces.flat_map(|piece| {
        let lines: Vec<Result<String>> = match piece {
            Ok(events) => events.into_iter().map(line).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(lines)
    }))
}

fn line(event: Stored) -> Result<String> {
    let event = AuditEvent::try_from(event)?;
    let json = serde_json::to_string(&event).map_err(anyhow::Error::new)?;
    Ok(json + "\n")
}

async fn piece(
    pool: &PgPool,
    filter: AuditFilter,
    after: i64,
    last: i64,
) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as!(
        Stored,
        "select id, at, kind, outcome, actor_id, actor, means, means_id, address, user_id, job_id, detail
         from audit_events
         where ($1::bigint is null or actor_id = $1 or user_id = $1) and ($2::text is null or kind = $2)
           and id > $3 and id <= $4
         order by id limit $5",
        filter.user_id.map(UserId::get),
        filter.kind.map(AuditKind::as_str),
        after,
        last,
        PIECE
    )
    .fetch_all(pool)
    .await
}

struct Stored {
    id: i64,
    at: DateTime<Utc>,
    kind: String,
    outcome: String,
    actor_id: Option<i64>,
    actor: String,
    means: String,
    means_id: Option<i64>,
    address: Option<String>,
    user_id: Option<i64>,
    job_id: Option<i64>,
    detail: Option<String>,
}

impl TryFrom<Stored> for AuditEvent {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        Ok(Self {
            id: stored.id,
            at: stored.at,
            kind: stored.kind.parse().map_err(anyhow::Error::new)?,
            outcome: stored.outcome.parse().map_err(anyhow::Error::new)?,
            actor_id: stored.actor_id.map(UserId::from),
            actor: stored.actor,
            means: stored.means,
            means_id: stored.means_id,
            address: stored.address,
            user_id: stored.user_id.map(UserId::from),
            job_id: stored.job_id.map(JobId::from),
            detail: stored.detail,
        })
    }
}
