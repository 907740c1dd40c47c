use sqlx::PgPool;

use crate::Result;

/// How long the name and the first characters of a token are kept after it has ended, in days. They tell whose token
/// somebody tries to use.
const TOKEN_DAYS: f64 = 90.0;

/// Deletes sessions, half sessions and links to set a password that have expired, and tokens that ended some time ago.
pub(crate) async fn delete_ended(pool: &PgPool) -> Result<()> {
    sqlx::query!("delete from sessions where expires_at <= now()")
        .execute(pool)
        .await?;
    sqlx::query!("delete from half_sessions where expires_at <= now()")
        .execute(pool)
        .await?;
    sqlx::query!("delete from password_links where expires_at <= now()")
        .execute(pool)
        .await?;
    sqlx::query!(
        "delete from api_tokens where least(revoked_at, expires_at) < now() - $1 * interval '1 day'",
        TOKEN_DAYS
    )
    .execute(pool)
    .await?;
    Ok(())
}
