//! The OpenID Connect provider: requests to it, and its claims about people. `accounts` decides which user they are
//! here.
//!
//! **Invariant.** Claims leave this module only after the response was found to belong to a sign-in that this browser
//! started here, and the ID token to be signed by the provider, for us and for that sign-in.

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
