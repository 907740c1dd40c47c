//! The age from which audit events can be deleted, which the owner of the database decides.

use sqlx::PgExecutor;

/// Sets the age in days, as the owner. With 0 no event can be deleted.
pub(super) async fn set(database: impl PgExecutor<'_>, days: u64) -> sqlx::Result<()> {
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    sqlx::query!(
        "update audit_retention set least_days = nullif($1, 0) where least_days is distinct from nullif($1, 0)",
        days
    )
    .execute(database)
    .await?;
    Ok(())
}

/// Returns the age in days. `None` if no event can be deleted.
pub(crate) async fn get(database: impl PgExecutor<'_>) -> sqlx::Result<Option<u64>> {
    let days = sqlx::query_scalar!("select least_days from audit_retention")
        .fetch_one(database)
        .await?;
    Ok(days.map(|days| days as u64))
}
