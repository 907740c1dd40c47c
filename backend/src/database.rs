//! The connection pool and the migrations.

pub(crate) mod audit_retention;
mod migrations;

use std::{io, str::FromStr, time::Duration};

use anyhow::Context;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgExecutor, PgPool, PgTransaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::BackendConfig;

/// The settings with URLs of the database.
const DATABASE_URL: &str = "DATABASE_URL";
const OWNER_URL: &str = "DATABASE_OWNER_URL";

/// How long startup waits for a PostgreSQL that doesn't answer yet.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection that was idle may take to answer before another one is used.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a short transaction may take.
const SHORT: Duration = Duration::from_secs(30);

/// Session settings. The first ones are for a process that is frozen or cut off from PostgreSQL: nobody should wait for
/// its locks for long. Another process repeats its work, and nothing that it hasn't committed counts.
const SESSION: [(&str, &str); 5] = [
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    // Our statements are short: compiling one takes longer than running it.
    ("jit", "off"),
];

pub(crate) async fn connect(
    config: &BackendConfig,
    statement_timeout: Option<Duration>,
) -> anyhow::Result<PgPool> {
    let options = parse_url(&config.database_url, DATABASE_URL)?;
    let bounded = match statement_timeout {
        Some(time) => options
            .clone()
            .options([("statement_timeout", format!("{}ms", time.as_millis()))]),
        None => options.clone(),
    };
    let pool = PgPoolOptions::new()
        .max_connections(config.database_max_connections)
        .acquire_timeout(Duration::from_secs(10))
        // Without a limit on the time, each connection that a firewall has forgotten would cost a request.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(is_alive(connection)))
        .connect_lazy_with(bounded);
    reach(&pool, DATABASE_URL).await?;
    let mut unbounded = options.connect().await?;
    migrations::run_or_check(&mut unbounded, config.audit_retention_days).await?;
    unbounded.close().await?;
    Ok(pool)
}

/// Brings the database up to date as its owner, sets the age from which audit events can be deleted if there is one in
/// `config`, and grants the role of `DATABASE_URL` what server and worker need.
pub async fn migrate(config: &BackendConfig, owner_url: &str) -> anyhow::Result<()> {
    let application = parse_url(&config.database_url, DATABASE_URL)?;
    let owner = parse_url(owner_url, OWNER_URL)?;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(owner);
    reach(&pool, OWNER_URL).await?;
    let mut owner = pool.acquire().await?;
    let audit_days = config.audit_retention_days;
    migrations::run_as_owner(&mut owner, application.get_username(), audit_days).await
}

/// Waits until PostgreSQL can be reached at the URL in this setting.
async fn reach(pool: &PgPool, setting: &str) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + START_TIMEOUT;
    while let Err(error) = pool.acquire().await {
        if tokio::time::Instant::now() >= deadline {
            return Err(error).with_context(|| format!("PostgreSQL can't be reached at {setting}"));
        }
        tracing::info!(%error, "waiting for PostgreSQL");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

async fn is_alive(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let answer = tokio::time::timeout(PING_TIMEOUT, connection.ping()).await;
    answer.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??;
    Ok(true)
}

/// Begins a transaction.
///
/// Runs in a separate task, so that `begin` completes even if the caller is dropped. sqlx 0.8 doesn't roll back a
/// transaction that was dropped while it began. Its connection would return to the pool, and whatever the next user
/// does and believes to be committed would be part of that transaction.
pub(crate) async fn begin(pool: &PgPool) -> sqlx::Result<PgTransaction<'static>> {
    in_own_task(pool, |pool| async move { pool.begin().await }).await
}

/// Begins a read-only transaction that sees a single snapshot of the database. Cancellation-safe like [`begin`].
pub(crate) async fn begin_snapshot(pool: &PgPool) -> sqlx::Result<PgTransaction<'static>> {
    const SNAPSHOT: &str = "begin isolation level repeatable read read only";
    in_own_task(pool, |pool| async move { pool.begin_with(SNAPSHOT).await }).await
}

async fn in_own_task<F>(
    pool: &PgPool,
    begin: impl FnOnce(PgPool) -> F,
) -> sqlx::Result<PgTransaction<'static>>
where
    F: Future<Output = sqlx::Result<PgTransaction<'static>>> + Send + 'static,
{
    tokio::spawn(begin(pool.clone()))
        .await
        .unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Fails if this takes longer than any of our short transactions. For work that nobody else limits and others wait for: if
/// a firewall forgets its connection in the middle of a statement, it would never end.
pub(crate) async fn in_time<T, E: From<sqlx::Error>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(SHORT, work)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()).into()))
}

/// Parses the PostgreSQL URL in this setting. sqlx itself accepts any scheme.
fn parse_url(url: &str, setting: &str) -> anyhow::Result<PgConnectOptions> {
    let options = url
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "postgres" | "postgresql"))
        .and_then(|_| PgConnectOptions::from_str(url).ok())
        .with_context(|| {
            format!("{setting} is not a URL like postgres://user:password@host/database")
        })?;
    Ok(options
        .application_name("batchline")
        .options(SESSION)
        .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(5)))
}

pub(crate) async fn answers(database: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query_scalar!("select 1 as one")
        .fetch_one(database)
        .await?;
    Ok(())
}

/// Returns whether the database accepts changes. A standby doesn't, nor one with `default_transaction_read_only`.
pub(crate) async fn is_writable(pool: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select not current_setting('transaction_read_only')::boolean as "is_writable!""#
    )
    .fetch_one(pool)
    .await
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        task::Poll::{Pending, Ready},
    };

    use super::*;

    /// Begins this many transactions and drops each `begin` after a few polls. Returns whether the next user of the
    /// connection ever found itself in a transaction.
    async fn leaks_transaction<F>(tries: usize, begin: impl Fn(PgPool) -> F) -> bool
    where
        F: Future<Output = sqlx::Result<PgTransaction<'static>>>,
    {
        let url = std::env::var("DATABASE_URL").expect("script/test sets DATABASE_URL");
        let pool = PgPoolOptions::new().max_connections(1);
        let pool = pool.connect(&url).await.unwrap();
        // Which poll sends the statement, and whether its response is already there, is up to chance.
        for polls in (1..=6).cycle().take(tries) {
            let mut begin = Box::pin(begin(pool.clone()));
            let mut polled = 0;
            poll_fn(|context| {
                polled += 1;
                match begin.as_mut().poll(context) {
                    Pending if polled < polls => Pending,
                    _ => Ready(()),
                }
            })
            .await;
            drop(begin);
            // Twice, because a `begin` in its own task may arrive after the first check.
            for _ in 0..2 {
                let outside = sqlx::raw_sql("savepoint outside").execute(&pool).await;
                let Err(error) = outside else { return true };
                let code = error.as_database_error().and_then(|error| error.code());
                assert_eq!(code.as_deref(), Some("25P01"), "{error}");
            }
        }
        false
    }

    #[tokio::test]
    async fn a_dropped_begin_leaves_no_transaction_open() {
        assert!(!leaks_transaction(300, |pool| async move { begin(&pool).await }).await);
        assert!(!leaks_transaction(300, |pool| async move { begin_snapshot(&pool).await }).await);
        // Once this fails, sqlx rolls back by itself and `in_own_task` can go. It usually takes a few tries.
        assert!(leaks_transaction(30_000, |pool| async move { pool.begin().await }).await);
    }

    #[test]
    fn only_postgresql_urls_are_accepted() {
        assert!(parse_url("postgres://localhost/x", OWNER_URL).is_ok());
        assert!(parse_url("postgresql://me:secret@[::1]:5433/x", OWNER_URL).is_ok());
        for url in ["mysql://localhost/x", "localhost", "", "postgres://:x:/"] {
            let error = parse_url(url, OWNER_URL).unwrap_err().to_string();
            assert!(error.starts_with(OWNER_URL), "{url}: {error}");
        }
    }
}
