//! Signing in: passwords and second factors, an OpenID Connect provider, sessions, API tokens, one-time links and roles.
//! Holds every query on `sessions`, `half_sessions`, `api_tokens`, `password_links`, `second_factors` and `recovery_codes`,
//! and on the columns `role`, `password_hash`, `openid_…` and `locked_at` of `users`.
//!
//! **Invariant.** Secrets are random, shown once, and stored as a hash, except for the keys of second factors, without
//! which no code could be checked.

mod breached;
mod confirmation;
mod end_access;
mod ended;
mod half_session;
mod links;
mod lock;
mod me;
mod members;
mod passwords;
mod provider;
mod refusals;
mod second_factor;
mod secret;
mod sessions;
mod tokens;

pub use breached::BreachedPasswords;
pub(crate) use confirmation::check_confirmed;
pub use confirmation::{
    CONFIRMED_MINUTES, ConfirmationWays, confirm_with_password, confirmation_ways,
};
pub use end_access::sign_out_everywhere;
pub(crate) use ended::delete_ended;
pub use half_session::{
    HALF_SESSION_MINUTES, HalfSession, SignedIn, finish_sign_in, half_session_owner,
};
pub use links::{LINK_HOURS, PasswordLink, create_link, link_owner, use_link};
pub use lock::{lock_user, unlock_user};
pub use me::{Credential, Me, me};
pub(crate) use members::keep_an_admin;
pub use members::{
    Member, MemberPage, change_user, create_admin, create_user, create_user_with_link, member,
    members, set_role,
};
pub(crate) use passwords::Passwords;
pub use provider::{SignInAttempt, forget_provider, sign_in_with};
pub use refusals::{note_refused_token, note_too_many_sign_ins};
pub use second_factor::{
    NewKey, RECOVERY_CODES, SecondFactor, lacks_second_factor, new_second_factor,
    remove_second_factor, second_factor, turn_off_second_factor, turn_on_second_factor, unused_key,
};
pub use secret::Secret;
pub use sessions::{
    Auth, Client, Credentials, Identity, Lifetimes, NewSession, change_password,
    end_other_sessions, end_session, prepare, sessions, sign_in, sign_out,
};
pub use tokens::{TOKEN_START, create_token, revoke_token, tokens};
