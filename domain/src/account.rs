//! Accounts: roles, API tokens, passwords, and the kinds of audit events.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{InvalidField, JobId, SessionId, TokenId, UserId, hidden::has_hidden};

/// The text isn't one of the known names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownName;

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown name")
    }
}

impl std::error::Error for UnknownName {}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal, $label:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name for programs and PostgreSQL.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Returns the words for people.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                crate::schema::names(Self::ALL.iter().map(|it| it.as_str()))
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|it| it.as_str() == text).ok_or(UnknownName)
            }
        }
    };
}

names! {
    /// What a user may do.
    Role {
        /// Sees and changes everything, and manages the users.
        Admin = "admin", "Admin";
        /// Sees and changes only their own things.
        Member = "member", "Member";
    }
}

names! {
    /// What a program may do with an API token.
    Scope {
        Read = "read", "Read only";
        Write = "write", "Read and write";
    }
}

names! {
    /// What an audit event is about.
    AuditKind {
        SignIn = "sign_in", "Sign in";
        /// A signed-in user proves again who they are, before a sensitive change.
        Confirm = "confirm", "Confirm identity";
        SignOut = "sign_out", "Sign out";
        EndSession = "end_session", "End session";
        /// An admin ends all sessions and API tokens of a user.
        EndAccess = "end_access", "Sign out everywhere";
        LockUser = "lock_user", "Lock user";
        UnlockUser = "unlock_user", "Unlock user";
        ChangePassword = "change_password", "Change password";
        /// Also a new key in place of the previous one.
        SetSecondFactor = "set_second_factor", "Set up second factor";
        RemoveSecondFactor = "remove_second_factor", "Remove second factor";
        /// An existing user signs in with the OpenID Connect provider for the first time.
        LinkProvider = "link_provider", "Link to provider";
        ForgetProvider = "forget_provider", "Forget provider";
        CreatePasswordLink = "create_password_link", "Create password link";
        UsePasswordLink = "use_password_link", "Use password link";
        CreateToken = "create_token", "Create API token";
        /// Recorded at most once an hour for each token. Refused ones: at most once a minute for each address.
        UseToken = "use_token", "Use API token";
        RevokeToken = "revoke_token", "Revoke API token";
        CreateUser = "create_user", "Create user";
        ChangeUser = "change_user", "Change user";
        ChangeRole = "change_role", "Change role";
        /// Also a change to how long a user's jobs are kept.
        ChangeQuotas = "change_quotas", "Change quotas";
        DeleteUser = "delete_user", "Delete user";
        CreateFormat = "create_format", "Create saved format";
        ChangeFormat = "change_format", "Change saved format";
        DeleteFormat = "delete_format", "Delete saved format";
        Upload = "upload", "Upload file";
        Start = "start", "Start job";
        Pause = "pause", "Pause job";
        Resume = "resume", "Resume job";
        Cancel = "cancel", "Cancel job";
        Retry = "retry", "Retry job";
        DeleteJob = "delete_job", "Delete job";
        Download = "download", "Download results";
        ReadAudit = "read_audit", "Export audit";
        /// Retention deletes old events.
        DeleteEvents = "delete_events", "Delete audit events";
        /// An attempt to reach something that belongs to another user, or that the role or scope doesn't allow.
        Access = "access", "Access";
    }
}

names! {
    /// The outcome of the event.
    Outcome {
        Done = "done", "Done";
        Refused = "refused", "Refused";
    }
}

/// Who did what, and when.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEvent {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub kind: AuditKind,
    /// `done` or `refused`.
    pub outcome: Outcome,
    /// The user who acted. `null` if nobody was signed in.
    pub actor_id: Option<UserId>,
    /// The actor's email address at the time, `anyone`, `command line` or `retention`.
    pub actor: String,
    /// How the actor was authenticated: `session`, `token`, `command` or `none`.
    pub means: String,
    /// The id of the session or token.
    pub means_id: Option<i64>,
    /// The address from which the request came.
    pub address: Option<String>,
    /// The user whom the event concerns.
    pub user_id: Option<UserId>,
    pub job_id: Option<JobId>,
    pub detail: Option<String>,
}

/// A session of a user who signed in with a browser.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    pub created_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// The user agent that the browser sent.
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

impl Session {
    /// Returns the browser and the operating system in words, such as `Firefox on Windows`.
    pub fn device(&self) -> String {
        let agent = self.user_agent.as_deref().unwrap_or_default();
        let first = |names: &[(&str, &'static str)]| {
            let found = names.iter().find(|(mark, _)| agent.contains(mark));
            found.map(|(_, name)| *name)
        };
        // Browsers also name those that they want to be mistaken for, so the order matters.
        let browser = first(&[
            ("Edg/", "Edge"),
            ("OPR/", "Opera"),
            ("Firefox/", "Firefox"),
            ("Chrome/", "Chrome"),
            ("Safari/", "Safari"),
        ]);
        let system = first(&[
            ("Android", "Android"),
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Windows", "Windows"),
            ("Mac OS X", "macOS"),
            ("CrOS", "ChromeOS"),
            ("Linux", "Linux"),
        ]);
        match (browser, system) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(name), None) | (None, Some(name)) => name.to_owned(),
            (None, None) => "Unknown browser".to_owned(),
        }
    }
}

/// A token that a program signs in with, as its owner sees it: without the secret.
#[derive(Debug, Clone)]
pub struct ApiToken {
    pub id: TokenId,
    pub name: String,
    /// The first characters of the token.
    pub prefix: String,
    pub scope: Scope,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ApiToken {
    /// The maximum number of tokens per user.
    pub const MAX_PER_USER: usize = 50;
    /// The periods for which a token can be valid, in days.
    pub const DAYS: [u32; 4] = [7, 30, 90, 365];
    pub const DEFAULT_DAYS: u32 = 90;
}

/// A parsed request for a new token.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub name: TokenName,
    pub scope: Scope,
    /// The number of days for which the token is valid.
    pub days: u32,
}

impl NewToken {
    pub fn parse(name: &str, scope: &str, days: &str) -> Result<Self, Vec<InvalidField>> {
        let name = TokenName::parse(name);
        let scope = scope
            .parse()
            .map_err(|_| InvalidField::new("scope", "Choose what the token may do."));
        let days = days
            .parse()
            .ok()
            .filter(|days| ApiToken::DAYS.contains(days))
            .ok_or_else(|| InvalidField::new("days", "Choose how long the token is valid."));
        match (name, scope, days) {
            (Ok(name), Ok(scope), Ok(days)) => Ok(Self { name, scope, days }),
            (name, scope, days) => Err([name.err(), scope.err(), days.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }
}

/// The name of a token: 1 to 100 visible characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    pub const MAX_CHARS: usize = 100;

    pub fn parse(raw: &str) -> Result<Self, InvalidField> {
        let invalid = |sentence| Err(InvalidField::new("name", sentence));
        let name = raw.trim();
        if name.is_empty() {
            return invalid("Enter a name.");
        }
        if name.chars().count() > Self::MAX_CHARS {
            return invalid("The name is too long: use at most 100 characters.");
        }
        if has_hidden(name) {
            return invalid(
                "The name contains a line break or another character that can't be seen. Type it again.",
            );
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A chosen password, exactly as typed, of 12 to 256 characters.
///
/// Any mixture of characters is allowed (OWASP ASVS 5.0, 6.2.5 and 6.2.8).
#[derive(Clone)]
pub struct NewPassword(String);

impl NewPassword {
    pub const MIN_CHARS: usize = 12;
    pub const MAX_CHARS: usize = 256;

    /// Returns the password, or its error for the field `new_password`.
    pub fn parse(raw: &str) -> Result<Self, InvalidField> {
        let invalid = |sentence| Err(InvalidField::new("new_password", sentence));
        match raw.chars().count() {
            0 => invalid("Enter a new password."),
            chars if chars < Self::MIN_CHARS => {
                invalid("The password is too short: use at least 12 characters.")
            }
            chars if chars > Self::MAX_CHARS => {
                invalid("The password is too long: use at most 256 characters.")
            }
            _ => Ok(Self(raw.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Never prints the password.
impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let device = |agent: &str| {
            let now = DateTime::UNIX_EPOCH;
            Session {
                id: 1.into(),
                created_at: now,
                last_used_at: now,
                expires_at: now,
                user_agent: Some(agent.to_owned()),
                address: None,
            }
            .device()
        };
        for (agent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:153.0) Gecko/20100101 Firefox/153.0",
                "Firefox on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/19.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/156.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.0", "Unknown browser"),
        ] {
            assert_eq!(device(agent), expected);
        }
    }

    #[test]
    fn passwords_have_12_to_256_characters_and_no_other_rule() {
        for good in ["äöüäöüäöüäöü".to_owned(), " ".repeat(12), "x".repeat(256)] {
            assert_eq!(NewPassword::parse(&good).unwrap().as_str(), good);
        }
        for bad in [String::new(), "elevenchars".to_owned(), "x".repeat(257)] {
            assert!(NewPassword::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_round_trip() {
        for kind in AuditKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            let json = serde_json::to_string(kind).unwrap();
            assert_eq!(json, format!("{:?}", kind.as_str()));
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownName));
    }
}
