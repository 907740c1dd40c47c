//! What is to be done now and then, whoever does it: a worker does it every few seconds.

use std::time::Duration;

use crate::{Backend, Result, reconcile, removals};

/// Longer than the time between two rounds, so that no load falls between them.
const RECENT: Duration = Duration::from_secs(30);

/// One round. Each part is tried, whatever becomes of the others.
pub async fn round(backend: &Backend) -> Result<()> {
    let results = [
        summarize(backend).await,
        removals::sweep(backend).await,
        reconcile::reconcile(backend).await,
    ];
    results.into_iter().collect()
}

/// Brings the BRIN indexes of rows up to date: rows that were written to new pages are in them only after
/// that. Until then they are found by reading all such pages. Vacuum does the same, but comes late.
async fn summarize(backend: &Backend) -> Result<()> {
    let mut tx = backend.pool.begin().await?;
    let written = sqlx::query_scalar!(
        r#"select exists (select from jobs where processed_records > 0
                          and updated_at > clock_timestamp() - $1 * interval '1 second') as "written!""#,
        RECENT.as_secs_f64()
    )
    .fetch_one(&mut *tx)
    .await?;
    if !written {
        return Ok(());
    }
    // Whoever else works on an index, another worker or vacuum, is not to be waited for: a vacuum that
    // is waited for gives up.
    sqlx::query!("set local lock_timeout = '100ms'")
        .execute(&mut *tx)
        .await?;
    let summarized = sqlx::query!(
        "select brin_summarize_new_values('transactions_place_idx') as place,
                brin_summarize_new_values('transactions_id_idx') as id"
    )
    .fetch_one(&mut *tx)
    .await;
    match summarized {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(tx.commit().await?),
    }
}
