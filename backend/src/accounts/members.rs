use chrono::{DateTime, Utc};
use domain::{AuditKind, NewPassword, NewUser, Role, User, UserChange, UserId, page_count};
use sqlx::PgConnection;

use super::{
    confirmation::check_confirmed,
    end_access::end_access,
    links::{PasswordLink, insert_link},
    lock::unlock,
    second_factor,
    sessions::{end_link, set_password},
};
use crate::{
    Backend, Error, Result,
    access::{Act, Viewer, check_admin, check_user, session_of},
    audit::{self, Actor, Event},
    database, users,
};

/// A user as admins see them.
pub struct Member {
    pub user: User,
    pub role: Role,
    pub has_password: bool,
    /// Whether they have signed in through an OpenID Connect provider.
    pub has_provider: bool,
    /// Whether signing in with a password needs a code, too.
    pub has_second_factor: bool,
    /// Since when an admin keeps the user from signing in.
    pub locked_at: Option<DateTime<Utc>>,
    /// When the link to set a password expires, if one is valid.
    pub link_expires_at: Option<DateTime<Utc>>,
    /// When one of their sessions was last used.
    pub last_seen_at: Option<DateTime<Utc>>,
}

struct Stored {
    id: i64,
    name: String,
    email: String,
    created_at: DateTime<Utc>,
    role: String,
    has_password: bool,
    has_provider: bool,
    has_second_factor: bool,
    locked_at: Option<DateTime<Utc>>,
    link_expires_at: Option<DateTime<Utc>>,
    last_seen_at: Option<DateTime<Utc>>,
}

impl TryFrom<Stored> for Member {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        Ok(Self {
            user: User {
                id: stored.id.into(),
                name: stored.name,
                email: stored.email,
                created_at: stored.created_at,
            },
            role: stored.role.parse().map_err(anyhow::Error::new)?,
            has_password: stored.has_password,
            has_provider: stored.has_provider,
            has_second_factor: stored.has_second_factor,
            locked_at: stored.locked_at,
            link_expires_at: stored.link_expires_at,
            last_seen_at: stored.last_seen_at,
        })
    }
}

/// A query that returns [`Stored`] users, for what follows `from users`.
macro_rules! query_members {
    ($after:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Stored,
            r#"select id, name, email, created_at, role, password_hash is not null as "has_password!",
                      openid_subject is not null as "has_provider!",
                      exists (select from second_factors where user_id = users.id and key is not null)
                          as "has_second_factor!",
                      locked_at,
                      (select expires_at from password_links where user_id = users.id and expires_at > now())
                          as link_expires_at,
                      (select max(last_used_at) from sessions where user_id = users.id) as last_seen_at
               from users "#
                + $after
            $(, $argument)*
        )
    };
}

/// A page of users, newest first.
pub struct MemberPage {
    /// The page number, from 1.
    pub page: u64,
    pub members: Vec<Member>,
    /// The number of users on all pages.
    pub total: u64,
}

impl MemberPage {
    pub const SIZE: u64 = 50;
}

/// Returns the page with this number, or the last one if there are fewer. Requires an admin in a session.
pub async fn members(backend: &Backend, viewer: &Viewer, page: u64) -> Result<MemberPage> {
    check_admin(&backend.pool, viewer, Act::Read).await?;
    session_of(viewer)?;
    let total = sqlx::query_scalar!(r#"select count(*) as "total!" from users"#)
        .fetch_one(&backend.pool)
        .await? as u64;
    let page = page.clamp(1, page_count(total, MemberPage::SIZE));
    let members = query_members!(
        "order by id desc limit $1 offset $2",
        MemberPage::SIZE as i64,
        ((page - 1) * MemberPage::SIZE) as i64
    )
    .fetch_all(&backend.pool)
    .await?;
    let members = members.into_iter().map(Member::try_from);
    Ok(MemberPage {
        page,
        members: members.collect::<Result<_>>()?,
        total,
    })
}

/// Returns a user as admins see them. Requires an admin in a session.
pub async fn member(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<Member> {
    check_admin(&backend.pool, viewer, Act::Read).await?;
    session_of(viewer)?;
    query_members!("where id = $1", user_id.get())
        .fetch_optional(&backend.pool)
        .await?
        .ok_or(Error::NotFound("User"))?
        .try_into()
}

/// Creates a user. Fails with [`Error::Conflict`] if the address is taken, ignoring case, and with
/// [`Error::Unconfirmed`]: with a provider, whoever has the address there is the user. Requires an admin.
pub async fn create_user(backend: &Backend, viewer: &Viewer, new: &NewUser) -> Result<User> {
    check_admin(&backend.pool, viewer, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    check_confirmed(&mut *tx, viewer).await?;
    let user = users::create(&mut tx, viewer, new).await?;
    tx.commit().await?;
    Ok(user)
}

/// Creates a user and the link with which they set their password, in one transaction: without its link, the user could
/// neither sign in nor be created again. Fails as [`create_user`] does. Requires an admin in a session.
pub async fn create_user_with_link(
    backend: &Backend,
    viewer: &Viewer,
    new: &NewUser,
) -> Result<(User, PasswordLink)> {
    session_of(viewer)?;
    check_admin(&backend.pool, viewer, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    check_confirmed(&mut *tx, viewer).await?;
    let user = users::create(&mut tx, viewer, new).await?;
    let link = insert_link(&mut tx, viewer, user.id).await?;
    tx.commit().await?;
    Ok((user, link))
}

/// Changes a user. Fails with [`Error::Conflict`] if the new address belongs to another user. Requires an admin.
///
/// If people sign in, an address decides who does so: a provider links a user by it once, and a user with a password types
/// it. So tokens can't change it, a session must be confirmed ([`Error::Unconfirmed`]), and a link to set a password that
/// was sent to the old one ends.
pub async fn change_user(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    change: &UserChange,
) -> Result<User> {
    // Members must not learn of other users.
    check_user(&backend.pool, viewer, user_id, Act::Change).await?;
    check_admin(&backend.pool, viewer, Act::Change).await?;
    let mut tx = database::begin(&backend.pool).await?;
    let before = users::lock_email(&mut tx, user_id).await?;
    let new = change.email.as_ref().map(|email| email.as_str());
    let is_new = new.is_some_and(|new| new != before);
    if is_new && viewer.account().is_some() {
        session_of(viewer)?;
        check_confirmed(&mut *tx, viewer).await?;
        end_link(&mut tx, user_id).await?;
    }
    let user = users::change(&mut tx, user_id, change).await?;
    let detail = match is_new {
        true => format!("from {before} to {}", user.email),
        false => before,
    };
    let changed = Event::done(AuditKind::ChangeUser)
        .of_user(user_id)
        .detail(&detail);
    audit::record(&mut *tx, viewer, changed).await?;
    tx.commit().await?;
    Ok(user)
}

/// Changes a user's role, ends their sessions and revokes their API tokens: a token must not gain rights that nobody
/// gave it. Fails with [`Error::Conflict`] for the last admin, and with [`Error::Unconfirmed`]. Requires an admin.
pub async fn set_role(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
    role: Role,
) -> Result<()> {
    check_admin(&backend.pool, viewer, Act::Change).await?;
    session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    if role != Role::Admin {
        keep_an_admin(&mut tx, user_id).await?;
    }
    check_confirmed(&mut *tx, viewer).await?;
    let changed = sqlx::query!(
        "update users set role = $2 where id = $1 and role <> $2",
        user_id.get(),
        role.as_str()
    )
    .execute(&mut *tx)
    .await?;
    if changed.rows_affected() == 0 {
        // There is no such user, or they already have the role.
        return users::lock_settings(&mut tx, user_id).await;
    }
    end_access(&mut tx, viewer, user_id).await?;
    let event = Event::done(AuditKind::ChangeRole)
        .of_user(user_id)
        .detail(role.as_str());
    audit::record(&mut *tx, viewer, event).await?;
    tx.commit().await?;
    Ok(())
}

/// Fails with [`Error::Conflict`] if no other admin can sign in. Call it before taking any other lock.
pub(crate) async fn keep_an_admin(tx: &mut PgConnection, user_id: UserId) -> Result<()> {
    let admins = sqlx::query_scalar!(
        "select id from users
         where role = 'admin' and locked_at is null and (password_hash is not null or openid_subject is not null)
         order by id for update"
    )
    .fetch_all(tx)
    .await?;
    match admins[..] == [user_id.get()] {
        true => Err(Error::Conflict(
            "This is the only admin. Make somebody else an admin first.".to_owned(),
        )),
        false => Ok(()),
    }
}

/// Creates an admin with this password, or promotes and unlocks the user who has the email address, whose sessions and API
/// tokens end. With a password, their second factor is removed. Without one, they sign in only through the provider. Returns
/// whether the user is new. Called by the command line, which needs a shell on the server.
pub async fn create_admin(
    backend: &Backend,
    new: &NewUser,
    password: Option<&NewPassword>,
) -> Result<bool> {
    let hashed = match password {
        Some(password) => {
            let known = [new.name.as_str(), new.email.as_str()];
            backend.passwords.check(password, &known).await?;
            Some(backend.passwords.hash(password).await?)
        }
        None => None,
    };
    let mut tx = database::begin(&backend.pool).await?;
    let user = sqlx::query!(
        r#"insert into users (name, email, role) values ($1, $2, 'admin')
           on conflict (lower(email)) do update set role = 'admin'
           returning id, xmax = 0 as "is_new!""#,
        new.name.as_str(),
        new.email.as_str()
    )
    .fetch_one(&mut *tx)
    .await?;
    let user_id = UserId::from(user.id);
    if let Some(hashed) = hashed {
        set_password(&mut tx, user_id, &hashed).await?;
        // Nobody else can help the last admin who has lost it.
        if second_factor::remove(&mut tx, user_id).await? {
            let removed = Event::done(AuditKind::RemoveSecondFactor).of_user(user_id);
            audit::record(&mut *tx, Actor::command_line(), removed).await?;
        }
    }
    end_access(&mut tx, Actor::command_line(), user_id).await?;
    if unlock(&mut tx, user_id).await? {
        let unlocked = Event::done(AuditKind::UnlockUser).of_user(user_id);
        audit::record(&mut *tx, Actor::command_line(), unlocked).await?;
    }
    let kind = match user.is_new {
        true => AuditKind::CreateUser,
        false => AuditKind::ChangeRole,
    };
    let event = Event::done(kind).of_user(user_id).detail("admin");
    audit::record(&mut *tx, Actor::command_line(), event).await?;
    tx.commit().await?;
    Ok(user.is_new)
}
