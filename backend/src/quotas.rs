//! The quotas of users, their usage, and how admins change them.

use domain::{AuditKind, QuotaChange, Quotas, UserId};

use crate::{
    Backend, Result,
    access::{Act, Viewer, check_admin, check_user},
    audit::{self, Event},
    database,
    jobs::usage,
};

/// Returns the user's quotas with their usage.
pub async fn of(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<Quotas> {
    check_user(&backend.pool, viewer, user_id, Act::Read).await?;
    usage::of(&backend.pool, user_id, &backend.quotas).await
}

/// Changes a user's quotas and returns them. Usage beyond a lowered quota is kept. Requires an admin.
pub async fn set(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    change: &QuotaChange,
) -> Result<Quotas> {
    // Members must not learn of other users.
    check_user(&backend.pool, viewer, user_id, Act::Change).await?;
    check_admin(&backend.pool, viewer, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    usage::set(&mut tx, user_id, change).await?;
    let detail = described(change);
    if !detail.is_empty() {
        let event = Event::done(AuditKind::ChangeQuotas)
            .of_user(user_id)
            .detail(&detail);
        audit::record(&mut *tx, viewer, event).await?;
    }
    let quotas = usage::of(&mut *tx, user_id, &backend.quotas).await?;
    tx.commit().await?;
    Ok(quotas)
}

/// Describes the change for the audit, such as `jobs 100, bytes default`.
fn described(change: &QuotaChange) -> String {
    let values = [
        change.jobs,
        change.bytes,
        change.active_jobs,
        change.retention_days,
    ];
    let set: Vec<String> = QuotaChange::FIELDS
        .into_iter()
        .zip(values)
        .filter_map(|(name, value)| {
            Some(match value? {
                None => format!("{name} default"),
                Some(0) => format!("{name} without limit"),
                Some(number) => format!("{name} {number}"),
            })
        })
        .collect();
    set.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_describes_changed_quotas() {
        let change = QuotaChange {
            jobs: Some(Some(100)),
            bytes: Some(None),
            active_jobs: None,
            retention_days: Some(Some(0)),
        };
        assert_eq!(
            described(&change),
            "jobs 100, bytes default, retention_days without limit"
        );
    }
}
