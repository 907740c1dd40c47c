use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// A sign-in that a browser has started, for its cookie.
///
/// Nothing in it has to be hidden from the browser, since the holder of the cookie is the person who signs in. It
/// ensures that a response counts only in this browser (`state`), that its code is valid only for this sign-in
/// (`verifier`, RFC 7636), and that the ID token was issued for it (`nonce`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    /// The page to continue to. Untrusted: check it before following it.
    pub next: String,
    /// Whether a signed-in user confirms who they are, rather than signing in.
    pub confirms: bool,
}

/// Marks the sign-in of somebody who confirms who they are.
const CONFIRMS: &str = "confirms";

/// The maximum length of `next` in bytes, within the size of a cookie that browsers keep. A longer one is dropped.
const MAX_NEXT: usize = 2000;

impl Begun {
    /// Returns the part of a `state` that distinguishes the sign-ins that a browser has started.
    pub fn key_of(state: &str) -> &str {
        state.get(..8).unwrap_or(state)
    }

    /// Returns the key of this sign-in.
    pub fn key(&self) -> &str {
        Self::key_of(&self.state)
    }

    /// Returns the value for the cookie.
    pub fn to_text(&self) -> String {
        let next = match self.next.len() <= MAX_NEXT {
            true => self.next.as_str(),
            false => "",
        };
        let next = URL_SAFE_NO_PAD.encode(next);
        let text = [&self.state, &self.nonce, &self.verifier, &next].map(String::as_str);
        let text = text.join(".");
        match self.confirms {
            true => format!("{text}.{CONFIRMS}"),
            false => text,
        }
    }

    /// Parses the output of [`Self::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::to_owned);
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (state, nonce, verifier) = (part()?, part()?, part()?);
        let next = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let confirms = parts.next();
        let is_whole =
            parts.next().is_none() && confirms.as_deref().is_none_or(|text| text == CONFIRMS);
        let begun = Self {
            state,
            nonce,
            verifier,
            next: String::from_utf8(next).ok()?,
            confirms: confirms.is_some(),
        };
        is_whole.then_some(begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_sign_in_survives_the_cookie() {
        let begun = |next: &str| Begun {
            state: "s".to_owned(),
            nonce: "n".to_owned(),
            verifier: "v".to_owned(),
            next: next.to_owned(),
            confirms: false,
        };
        let confirming = Begun {
            confirms: true,
            ..begun("/confirm")
        };
        assert_eq!(Begun::parse(&confirming.to_text()), Some(confirming));
        for next in ["", "/jobs/7?q=ä.b"] {
            let begun = begun(next);
            assert_eq!(Begun::parse(&begun.to_text()), Some(begun));
        }
        let long = begun(&"x".repeat(5000)).to_text();
        assert_eq!(Begun::parse(&long), Some(begun("")));
        for broken in ["", "s", "s.n.v", ".n.v.", "s..v.", "s.n.v.!", "s.n.v..x"] {
            assert_eq!(Begun::parse(broken), None, "{broken}");
        }
    }
}
