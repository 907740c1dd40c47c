use chrono::{DateTime, Utc};
use openidconnect::{
    AdditionalClaims, EndUserEmail, EndUserName, EndUserUsername, LocalizedClaim, SubjectIdentifier,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::settings::AdminClaim;

/// The non-standard claims by name. Standard ones are listed in OpenID Connect Core 1.0, section 5.1.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OtherClaims {
    #[serde(flatten)]
    by_name: Map<String, Value>,
}

impl AdditionalClaims for OtherClaims {}

/// The provider's claims about somebody who has signed in there.
#[derive(Debug, Clone)]
pub struct Claims {
    /// Unique within the issuer of the settings.
    pub subject: String,
    /// When they authenticated there, if the provider says so (`auth_time`).
    pub authenticated_at: Option<DateTime<Utc>>,
    pub email: Option<String>,
    /// Whether the provider has verified that the address is theirs.
    pub email_verified: bool,
    pub name: Option<String>,
    /// `None` if no claim says who is an admin.
    pub is_admin: Option<bool>,
}

impl Claims {
    pub fn new(
        subject: &SubjectIdentifier,
        email: Option<&EndUserEmail>,
        email_verified: Option<bool>,
        name: Option<&LocalizedClaim<EndUserName>>,
        username: Option<&EndUserUsername>,
        other: &OtherClaims,
        admin: Option<&AdminClaim>,
    ) -> Self {
        let name = name.and_then(|name| name.get(None));
        Self {
            subject: subject.as_str().to_owned(),
            authenticated_at: None,
            email: email.map(|email| email.as_str().to_owned()),
            email_verified: email_verified == Some(true),
            name: name
                .map(|name| name.as_str())
                .or(username.map(|name| name.as_str()))
                .map(str::to_owned),
            is_admin: admin.map(|claim| claim.is_met(other)),
        }
    }

    /// Fills in missing claims from another source. An address counts as verified only if its own source says so.
    pub fn or(self, more: Self) -> Self {
        let (email, email_verified) = match self.email {
            Some(email) => (Some(email), self.email_verified),
            None => (more.email, more.email_verified),
        };
        Self {
            subject: self.subject,
            authenticated_at: self.authenticated_at,
            email,
            email_verified,
            name: self.name.or(more.name),
            is_admin: self
                .is_admin
                .map(|is_admin| is_admin || more.is_admin == Some(true)),
        }
    }

    /// Returns whether the ID token lacks claims that the user info may contain. Many providers return the claims of a
    /// scope only there (OpenID Connect Core 1.0, section 5.4).
    pub fn are_partial(&self, other: &OtherClaims, admin: Option<&AdminClaim>) -> bool {
        let is_missing = |claim: &AdminClaim| !other.by_name.contains_key(&claim.name);
        self.email.is_none() || admin.is_some_and(is_missing)
    }
}

impl AdminClaim {
    /// Returns whether the claim equals one of the values, or is a list that contains one.
    fn is_met(&self, claims: &OtherClaims) -> bool {
        let is_one = |value: &Value| match value {
            Value::String(text) => self.values.contains(text),
            Value::Bool(is) => self.values.contains(&is.to_string()),
            _ => false,
        };
        match claims.by_name.get(&self.name) {
            Some(Value::Array(values)) => values.iter().any(is_one),
            Some(value) => is_one(value),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_whole_claim_value_makes_an_admin() {
        let claim = AdminClaim {
            name: "groups".to_owned(),
            values: vec!["admins".to_owned(), "true".to_owned()],
        };
        let is_met = |claims: Value| claim.is_met(&serde_json::from_value(claims).unwrap());
        for met in [json!("admins"), json!(["staff", "admins"]), json!(true)] {
            assert!(is_met(json!({ "groups": met.clone() })), "{met}");
        }
        for other in [
            json!("batchline-admins"),
            json!("staff admins"),
            json!([["admins"]]),
            json!({"admins": true}),
            json!(["Admins"]),
            json!(false),
            json!(null),
        ] {
            assert!(!is_met(json!({ "groups": other.clone() })), "{other}");
        }
        assert!(!is_met(json!({"roles": ["admins"]})));
    }
}
