//! Authorization: who makes a request, and what they may see and do.
//!
//! **Invariant.** Every entry point that reads or changes a user's data takes a [`Viewer`] and checks it here first, or
//! takes a value that only such an entry point returns. Only [`crate::accounts::Auth`] creates viewers. Data of other
//! users is reported as not found, exactly as if it didn't exist.

use std::{net::IpAddr, sync::Arc};

use domain::{AuditKind, JobId, Role, Scope, SessionId, TokenId, UserId};
use sqlx::PgPool;

use crate::{Error, Result, audit, jobs::query};

/// The author of a request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Viewer {
    who: Who,
    address: Option<IpAddr>,
}

#[derive(Debug, Clone)]
enum Who {
    /// Sign-in is disabled, so everybody may do everything.
    Anyone,
    Account(Arc<Account>),
}

/// A signed-in user.
#[derive(Debug)]
pub struct Account {
    pub user_id: UserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub means: Means,
}

/// The credential that a user has signed in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    Session(SessionId),
    Token { id: TokenId, scope: Scope },
}

/// The kind of access that is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Read,
    Change,
}

impl Viewer {
    pub(crate) fn anyone(address: Option<IpAddr>) -> Self {
        let who = Who::Anyone;
        Self { who, address }
    }

    pub(crate) fn of(account: Account, address: Option<IpAddr>) -> Self {
        let who = Who::Account(Arc::new(account));
        Self { who, address }
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns the signed-in user, or `None` if sign-in is disabled.
    pub fn account(&self) -> Option<&Account> {
        match &self.who {
            Who::Anyone => None,
            Who::Account(account) => Some(account),
        }
    }

    /// Returns whether the viewer may see everything.
    pub fn is_admin(&self) -> bool {
        self.account()
            .is_none_or(|account| account.role == Role::Admin)
    }

    /// Returns whether the viewer has signed in, so isn't a program with a token.
    pub fn has_session(&self) -> bool {
        session_of(self).is_ok()
    }

    /// Returns the user whose data the viewer is limited to, or `None` if they see everybody's.
    pub fn owner(&self) -> Option<UserId> {
        self.account()
            .filter(|account| account.role != Role::Admin)
            .map(|account| account.user_id)
    }

    fn may_see(&self, user_id: UserId) -> bool {
        self.owner().is_none_or(|owner| owner == user_id)
    }

    fn may(&self, act: Act) -> bool {
        act == Act::Read
            || !self.account().is_some_and(|account| {
                let read_only =
                    |means| matches!(means, Means::Token { scope, .. } if scope == Scope::Read);
                read_only(account.means)
            })
    }
}

/// Fails with [`Error::NotFound`] if the viewer may not see the user's data, and with [`Error::Forbidden`] if they may
/// only read it. A missing user is reported here or, to viewers who see everything, by the query that reads the data.
pub(crate) async fn check_user(
    pool: &PgPool,
    viewer: &Viewer,
    user_id: UserId,
    act: Act,
) -> Result<()> {
    if !viewer.may_see(user_id) {
        let refused = audit::Event::refused(AuditKind::Access).of_user(user_id);
        audit::note(pool, viewer, refused).await;
        return Err(Error::NotFound("User"));
    }
    check_scope(pool, viewer, act, Some(user_id)).await
}

/// Does the same as [`check_user`] for the owner of a job. A missing job is reported here or by the query that reads
/// it.
pub(crate) async fn check_job(
    pool: &PgPool,
    viewer: &Viewer,
    job_id: JobId,
    act: Act,
) -> Result<()> {
    let Some(owner) = viewer.owner() else {
        return check_scope(pool, viewer, act, None).await;
    };
    match query::owner(pool, job_id).await? {
        Some(user_id) if user_id == owner => check_scope(pool, viewer, act, Some(user_id)).await,
        Some(user_id) => {
            let refused = audit::Event::refused(AuditKind::Access).of_job(user_id, job_id);
            audit::note(pool, viewer, refused).await;
            Err(Error::NotFound("Job"))
        }
        None => Err(Error::NotFound("Job")),
    }
}

/// Fails with [`Error::Forbidden`] for members, and for read-only tokens if `act` is a change.
pub(crate) async fn check_admin(pool: &PgPool, viewer: &Viewer, act: Act) -> Result<()> {
    if !viewer.is_admin() {
        audit::note(pool, viewer, audit::Event::refused(AuditKind::Access)).await;
        return Err(Error::Forbidden("Only an admin can do this.".to_owned()));
    }
    check_scope(pool, viewer, act, None).await
}

/// Fails with [`Error::Forbidden`] for read-only tokens. Call it before a change that selects its rows by owner.
pub(crate) async fn check_change(pool: &PgPool, viewer: &Viewer) -> Result<()> {
    check_scope(pool, viewer, Act::Change, viewer.owner()).await
}

async fn check_scope(
    pool: &PgPool,
    viewer: &Viewer,
    act: Act,
    user_id: Option<UserId>,
) -> Result<()> {
    if viewer.may(act) {
        return Ok(());
    }
    let refused = audit::Event {
        user_id,
        ..audit::Event::refused(AuditKind::Access)
    };
    audit::note(pool, viewer, refused).await;
    let sentence = "This API token can only read. Use one with the scope \"Read and write\".";
    Err(Error::Forbidden(sentence.to_owned()))
}

/// Returns the viewer's session. Fails with [`Error::Forbidden`] for tokens and if sign-in is disabled.
pub(crate) fn session_of(viewer: &Viewer) -> Result<(&Account, SessionId)> {
    match viewer.account() {
        Some(account) => match account.means {
            Means::Session(session_id) => Ok((account, session_id)),
            Means::Token { .. } => Err(Error::Forbidden(
                "An API token can't change how somebody signs in. Sign in with a browser."
                    .to_owned(),
            )),
        },
        None => Err(Error::NotFound("Account")),
    }
}

/// Returned if the viewer's session has ended since the request began.
pub(crate) fn session_ended() -> Error {
    Error::Conflict("You were signed out meanwhile. Sign in and try again.".to_owned())
}
