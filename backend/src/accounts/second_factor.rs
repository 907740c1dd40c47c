//! The second factor of users who sign in with a password: time-based one-time passwords (RFC 6238), and recovery codes for
//! when the app is lost. Holds every query on `second_factors` and `recovery_codes`, except for whether somebody has one.

use anyhow::anyhow;
use chrono::Utc;
use domain::{AuditKind, InvalidField, UserId};
use sqlx::{PgConnection, PgExecutor};
use totp_rs::{Builder, Totp};

use super::{confirmation::check_confirmed, secret::hash, sessions::end_others};
use crate::{
    Backend, Error, Result,
    access::{Act, Means, Viewer, check_admin, session_of},
    audit::{self, Event},
    database, users,
};

/// The number of recovery codes that a user gets.
pub const RECOVERY_CODES: usize = 10;
/// The number of bytes of a key, as RFC 4226 recommends for SHA-1.
const KEY_BYTES: usize = 20;
/// The number of bytes of a recovery code. Nobody guesses 120 bits, so storing their plain SHA-256 is enough.
const RECOVERY_CODE_BYTES: usize = 15;
/// The number of wrong codes in a row after which only recovery codes are accepted. Whoever knows the password, and tries
/// codes from many addresses, then has a chance of 1 in 3,000.
const MAX_WRONG_CODES: i32 = 100;
/// The number of steps of 30 seconds by which the clock of an app may be wrong.
const SKEW: u16 = 1;

/// A user's second factor.
#[derive(Debug, Clone, Copy)]
pub struct SecondFactor {
    pub is_on: bool,
    /// The number of recovery codes that weren't used yet.
    pub recovery_codes: i64,
}

/// A key that was created, but isn't used before its first code was entered.
pub struct NewKey {
    /// In base32, for typing.
    pub secret: String,
    /// The address in the QR code: `otpauth://totp/…`
    pub address: String,
}

/// What a user signed in with after the password, for the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepted {
    Code,
    RecoveryCode,
}

impl Accepted {
    /// Returns what the audit says about both factors.
    pub fn with_password(self) -> &'static str {
        match self {
            Self::Code => "password and code",
            Self::RecoveryCode => "password and recovery code",
        }
    }
}

/// Returns the viewer's second factor, or `None` if they have no password, and thus no second factor here.
pub async fn second_factor(backend: &Backend, viewer: &Viewer) -> Result<Option<SecondFactor>> {
    let (account, _) = session_of(viewer)?;
    let found = sqlx::query_as!(
        SecondFactor,
        r#"select exists (select from second_factors where user_id = users.id and key is not null) as "is_on!",
                  (select count(*) from recovery_codes where user_id = users.id) as "recovery_codes!"
           from users where id = $1 and password_hash is not null"#,
        account.user_id.get()
    )
    .fetch_optional(&backend.pool)
    .await?;
    Ok(found)
}

/// Returns whether the viewer's session belongs to a user who has a password and no second factor.
pub async fn lacks_second_factor(backend: &Backend, viewer: &Viewer) -> Result<bool> {
    let Some(Means::Session(_)) = viewer.account().map(|account| account.means) else {
        return Ok(false);
    };
    let factor = second_factor(backend, viewer).await?;
    Ok(factor.is_some_and(|factor| !factor.is_on))
}

/// Creates a key, which replaces the viewer's present one when [`turn_on_second_factor`] gets its first code. Fails with
/// [`Error::Conflict`] for a user without a password, and with [`Error::Unconfirmed`].
pub async fn new_second_factor(backend: &Backend, viewer: &Viewer) -> Result<NewKey> {
    let (account, _) = session_of(viewer)?;
    check_confirmed(&backend.pool, viewer).await?;
    let key = random::<KEY_BYTES>()?;
    let created = sqlx::query!(
        "insert into second_factors (user_id, new_key)
         select id, $2 from users where id = $1 and password_hash is not null
         on conflict (user_id) do update set new_key = excluded.new_key",
        account.user_id.get(),
        key.as_slice()
    )
    .execute(&backend.pool)
    .await?;
    match created.rows_affected() {
        0 => Err(Error::Conflict(
            "Only users who sign in with a password can set up two-step sign-in.".to_owned(),
        )),
        _ => new_key(&key, &account.email),
    }
}

/// Returns the key that the viewer has created and not yet used.
pub async fn unused_key(backend: &Backend, viewer: &Viewer) -> Result<Option<NewKey>> {
    let (account, _) = session_of(viewer)?;
    check_confirmed(&backend.pool, viewer).await?;
    let key = sqlx::query_scalar!(
        "select new_key from second_factors where user_id = $1",
        account.user_id.get()
    )
    .fetch_optional(&backend.pool)
    .await?
    .flatten();
    key.map(|key| new_key(&key, &account.email)).transpose()
}

/// Starts to use the new key if the code is right, and ends the viewer's other sessions. Returns the recovery codes, which
/// can't be retrieved again. Fails with [`Error::Invalid`] for the field `code`, and with [`Error::Unconfirmed`].
pub async fn turn_on_second_factor(
    backend: &Backend,
    viewer: &Viewer,
    code: &str,
) -> Result<Vec<String>> {
    let (account, session_id) = session_of(viewer)?;
    let user_id = account.user_id;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, user_id).await?;
    check_confirmed(&mut *tx, viewer).await?;
    let key = sqlx::query_scalar!(
        "select new_key from second_factors where user_id = $1 for update",
        user_id.get()
    )
    .fetch_optional(&mut *tx)
    .await?
    .flatten();
    let Some(key) = key else {
        let sentence = "This setup is over. Start again.";
        return Err(Error::Conflict(sentence.to_owned()));
    };
    let Some(step) = step_of(&key, &plain(code), now()) else {
        let sentence = "That isn't the current code. Enter the one that your app shows now.";
        return Err(InvalidField::new("code", sentence).into());
    };
    sqlx::query!(
        "update second_factors set key = new_key, new_key = null, last_step = $2, wrong_codes = 0 where user_id = $1",
        user_id.get(),
        step
    )
    .execute(&mut *tx)
    .await?;
    let codes = new_recovery_codes(&mut tx, user_id).await?;
    end_others(&mut tx, user_id, Some(session_id)).await?;
    let event = Event::done(AuditKind::SetSecondFactor).of_user(user_id);
    audit::record(&mut *tx, viewer, event).await?;
    tx.commit().await?;
    Ok(codes)
}

/// Removes the viewer's second factor and ends their other sessions. Fails with [`Error::Unconfirmed`].
pub async fn turn_off_second_factor(backend: &Backend, viewer: &Viewer) -> Result<()> {
    let (account, session_id) = session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, account.user_id).await?;
    check_confirmed(&mut *tx, viewer).await?;
    if remove(&mut tx, account.user_id).await? {
        end_others(&mut tx, account.user_id, Some(session_id)).await?;
        let event = Event::done(AuditKind::RemoveSecondFactor).of_user(account.user_id);
        audit::record(&mut *tx, viewer, event).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Removes a user's second factor, for somebody who has lost it, and ends their sessions. Requires an admin. Fails with
/// [`Error::Unconfirmed`].
pub async fn remove_second_factor(
    backend: &Backend,
    viewer: &Viewer,
    user_id: UserId,
) -> Result<()> {
    check_admin(&backend.pool, viewer, Act::Change).await?;
    session_of(viewer)?;
    let mut tx = database::begin(&backend.pool).await?;
    users::lock_settings(&mut tx, user_id).await?;
    check_confirmed(&mut *tx, viewer).await?;
    if remove(&mut tx, user_id).await? {
        end_others(&mut tx, user_id, None).await?;
        let event = Event::done(AuditKind::RemoveSecondFactor).of_user(user_id);
        audit::record(&mut *tx, viewer, event).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Removes a user's second factor. Returns whether there was one.
pub(super) async fn remove(tx: &mut PgConnection, user_id: UserId) -> Result<bool> {
    let removed = sqlx::query!(
        "delete from second_factors where user_id = $1",
        user_id.get()
    )
    .execute(tx)
    .await?;
    Ok(removed.rows_affected() > 0)
}

/// Returns whether a user needs a code in addition to the password.
pub(super) async fn is_on(database: impl PgExecutor<'_>, user_id: UserId) -> Result<bool> {
    let is_on = sqlx::query_scalar!(
        r#"select exists (select from second_factors where user_id = $1 and key is not null) as "is_on!""#,
        user_id.get()
    )
    .fetch_one(database)
    .await?;
    Ok(is_on)
}

/// Uses up a code of the user's app, or one of their recovery codes. Returns `None` if it is wrong or was used before,
/// which the caller commits, because it counts.
pub(super) async fn accept(
    tx: &mut PgConnection,
    user_id: UserId,
    typed: &str,
) -> Result<Option<Accepted>> {
    let factor = sqlx::query!(
        r#"select key as "key!", last_step, wrong_codes from second_factors
           where user_id = $1 and key is not null for update"#,
        user_id.get()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(factor) = factor else {
        return Ok(None);
    };
    let typed = plain(typed);
    let step = step_of(&factor.key, &typed, now());
    let step = step
        .filter(|_| factor.wrong_codes < MAX_WRONG_CODES)
        .filter(|step| factor.last_step.is_none_or(|last| *step > last));
    if let Some(step) = step {
        sqlx::query!(
            "update second_factors set last_step = $2, wrong_codes = 0 where user_id = $1",
            user_id.get(),
            step
        )
        .execute(tx)
        .await?;
        return Ok(Some(Accepted::Code));
    }
    let used = sqlx::query!(
        "delete from recovery_codes where code_hash = $1 and user_id = $2",
        hash(&typed),
        user_id.get()
    )
    .execute(&mut *tx)
    .await?;
    let is_right = used.rows_affected() > 0;
    sqlx::query!(
        "update second_factors set wrong_codes = case when $2 then 0 else wrong_codes + 1 end where user_id = $1",
        user_id.get(),
        is_right
    )
    .execute(tx)
    .await?;
    Ok(is_right.then_some(Accepted::RecoveryCode))
}

/// Replaces the user's recovery codes.
async fn new_recovery_codes(tx: &mut PgConnection, user_id: UserId) -> Result<Vec<String>> {
    sqlx::query!(
        "delete from recovery_codes where user_id = $1",
        user_id.get()
    )
    .execute(&mut *tx)
    .await?;
    let codes = (0..RECOVERY_CODES).map(|_| recovery_code());
    let codes: Vec<String> = codes.collect::<Result<_>>()?;
    let hashes: Vec<Vec<u8>> = codes.iter().map(|code| hash(&plain(code))).collect();
    sqlx::query!(
        "insert into recovery_codes (code_hash, user_id) select unnest($2::bytea[]), $1::bigint",
        user_id.get(),
        &hashes as &[Vec<u8>]
    )
    .execute(tx)
    .await?;
    Ok(codes)
}

/// Returns a random code in groups of four letters and digits.
fn recovery_code() -> Result<String> {
    let code = totp_rs::Secret::new(random::<RECOVERY_CODE_BYTES>()?.into()).to_base32();
    let groups: Vec<&str> = (0..code.len() / 4)
        .map(|group| &code[group * 4..group * 4 + 4])
        .collect();
    Ok(groups.join("-"))
}

/// Returns what was typed without the spaces and hyphens with which codes are shown.
fn plain(typed: &str) -> String {
    typed
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .take(100)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

fn random<const N: usize>() -> Result<Vec<u8>> {
    let mut bytes = vec![0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(bytes)
}

/// Seconds since 1970.
fn now() -> u64 {
    Utc::now().timestamp().try_into().unwrap_or_default()
}

/// Returns the codes of this key: six digits, SHA-1 and 30 seconds, because many apps support nothing else.
fn codes(key: &[u8], email: &str) -> Result<Totp> {
    // A colon would end the issuer's name.
    let totp = Builder::new()
        .with_secret(totp_rs::Secret::new(key.into()))
        .with_skew(SKEW)
        .with_issuer(Some("Batchline"))
        .with_account_name(email.replace(':', "_"))
        .build();
    totp.map_err(|error| anyhow!("codes of a second factor: {error}").into())
}

/// Returns the time step whose code this is, if it is the present one or next to it.
fn step_of(key: &[u8], code: &str, now: u64) -> Option<i64> {
    let step = codes(key, "user").ok()?.check(code, now)?;
    i64::try_from(step).ok()
}

fn new_key(key: &[u8], email: &str) -> Result<NewKey> {
    let codes = codes(key, email)?;
    let address = codes.to_url();
    Ok(NewKey {
        secret: codes.secret().to_base32(),
        address: address.map_err(|error| anyhow!("address of a second factor: {error}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last six digits of the codes in RFC 6238, appendix B.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let key = b"12345678901234567890";
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = i64::try_from(time / 30).unwrap();
            assert_eq!(step_of(key, code, time), Some(step), "{time}");
            // The clock may be wrong by a step, but not by two.
            assert_eq!(step_of(key, code, time + 30), Some(step), "{time}");
            assert_eq!(step_of(key, code, time - 30), Some(step), "{time}");
            assert_eq!(step_of(key, code, time + 60), None, "{time}");
        }
        for wrong in ["", "28708", "2870822", "287083", "28708X"] {
            assert_eq!(step_of(key, wrong, 59), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_shown_as_text_and_as_the_address_in_the_qr_code() {
        let shown = new_key(b"12345678901234567890", "ann:b+c@example.com").unwrap();
        assert_eq!(shown.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let expected = "otpauth://totp/Batchline:ann_b%2Bc%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Batchline";
        assert_eq!(shown.address, expected);
    }

    #[test]
    fn recovery_codes_have_120_bits_and_may_be_typed_in_any_way() {
        let code = recovery_code().unwrap();
        let groups: Vec<_> = code.split('-').collect();
        assert_eq!(groups.len(), 6, "{code}");
        assert!(groups.iter().all(|group| group.len() == 4), "{code}");
        assert_eq!(plain(" gezd-gnbv GY3T"), "GEZDGNBVGY3T");
        assert_eq!(plain("123 456"), "123456");
        assert_ne!(recovery_code().unwrap(), code);
    }
}
