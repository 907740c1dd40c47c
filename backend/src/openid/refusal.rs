use std::fmt;

/// Why a sign-in through the provider failed. [`Refusal::sentence`] is for the person who tried, and `Display` for the
/// audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The provider doesn't respond, or its response is malformed. The log has details.
    Unavailable,
    /// The person cancelled, or the provider refused them.
    Denied,
    /// The response belongs to no sign-in that this browser started.
    NotBegunHere,
    /// The response comes from another provider (RFC 9207).
    OtherIssuer,
    /// The provider responded with an error, such as `server_error`, which is in the log.
    Failed,
    /// The provider doesn't know the code, or issued it for another sign-in.
    InvalidCode,
    /// The ID token isn't signed by the provider, for us and for this sign-in.
    InvalidToken,
    NoEmail,
    EmailNotVerified,
    DomainNotAllowed,
    /// No admin has created a user with the email address.
    NoSuchUser,
    /// Somebody else than the user who is signed in here confirmed who they are.
    OtherUser,
    /// The provider doesn't say that the person authenticated just now.
    NotRecent,
    /// The provider authenticated the person in another way than the required ones.
    OtherContext,
    /// The user with the email address is linked to another subject.
    OtherSubject,
}

impl Refusal {
    /// Returns what happened and what to do. `provider` is the name that people know.
    pub fn sentence(&self, provider: &str) -> String {
        match self {
            Self::Unavailable => {
                format!("{provider} can't be reached right now. Try again in a moment.")
            }
            Self::Denied => format!("{provider} didn't sign you in. Try again if you want to."),
            Self::NotBegunHere => {
                "This sign-in took too long, or was started in another browser. Start again."
                    .to_owned()
            }
            Self::OtherIssuer | Self::InvalidToken => {
                format!("The response to this sign-in isn't from {provider}. Start again.")
            }
            Self::Failed => {
                format!("Something went wrong at {provider}. Try again in a moment.")
            }
            Self::InvalidCode => {
                format!(
                    "{provider} didn't confirm this sign-in, which can be used only once. Start again."
                )
            }
            Self::NoEmail => {
                format!("{provider} didn't provide your email address. Ask an admin for help.")
            }
            Self::EmailNotVerified => format!(
                "{provider} hasn't verified your email address. Verify it there, then sign in again."
            ),
            Self::DomainNotAllowed => {
                "People with your email address can't sign in here. Use another account.".to_owned()
            }
            Self::NoSuchUser => {
                "There is no user with your email address. Ask an admin to create one.".to_owned()
            }
            Self::OtherUser => format!(
                "That is another user's {provider} account. Use the one with which you are signed in here."
            ),
            Self::NotRecent => format!(
                "{provider} doesn't confirm that you signed in just now. Sign out there, and try again. If that doesn't help, ask an admin."
            ),
            Self::OtherContext => format!(
                "{provider} didn't check you in the way that is required here, for example with a second factor. Set that up there, and sign in again."
            ),
            Self::OtherSubject => format!(
                "Your email address belongs to a user who signs in with another {provider} account. Ask an admin for help."
            ),
        }
    }

    /// Returns whether trying again later can help.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Failed)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "provider unavailable",
            Self::Denied => "denied by the provider",
            Self::NotBegunHere => "not started in this browser",
            Self::OtherIssuer => "response from another issuer",
            Self::Failed => "error from the provider",
            Self::InvalidCode => "invalid code",
            Self::InvalidToken => "invalid ID token",
            Self::NoEmail => "no email address",
            Self::EmailNotVerified => "email address not verified",
            Self::DomainNotAllowed => "domain not allowed",
            Self::NoSuchUser => "no such user",
            Self::OtherUser => "another user",
            Self::NotRecent => "no recent authentication",
            Self::OtherContext => "authentication context not accepted",
            Self::OtherSubject => "email address of another subject",
        })
    }
}
