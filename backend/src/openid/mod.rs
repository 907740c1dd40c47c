//! The OpenID Connect provider with which people sign in: what is asked of it, and what it says about somebody. Who that
//! is here, `accounts` decides.
//!
//! **Invariant.** What the provider says counts only after the response was found to belong to a sign-in that this very
//! browser began here, and the ID token to be signed by the provider, for us and for that sign-in.

mod begun;
mod claims;
mod discovery;
mod http;
mod provider;
mod refusal;
mod settings;

pub use begun::Begun;
pub(crate) use claims::Claims;
pub use provider::{Provider, Response};
pub use refusal::Refusal;
pub use settings::{AdminClaim, Settings};
