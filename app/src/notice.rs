//! The notice about what a form has done, for the page that it leads to.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// Sent to that page in a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// A sentence for people.
    pub done: String,
    /// What couldn't be done and why: a sentence for each of the first few.
    pub refused: Vec<String>,
    /// How many more couldn't be done.
    pub more: usize,
}

impl Notice {
    pub fn new(done: impl Into<String>) -> Self {
        Self {
            done: done.into(),
            refused: Vec::new(),
            more: 0,
        }
    }

    /// Returns the notice as the value of a cookie of at most `bytes`, with as many reasons as fit.
    pub fn to_text(mut self, bytes: usize) -> String {
        loop {
            let json = serde_json::to_string(&self).unwrap_or_default();
            let text: String = form_urlencoded::byte_serialize(json.as_bytes()).collect();
            if text.len() <= bytes {
                return text;
            }
            if self.refused.pop().is_none() {
                return String::new();
            }
            self.more += 1;
        }
    }

    /// Parses the output of [`Self::to_text`].
    pub fn from_text(text: &str) -> Option<Self> {
        let (json, _) = form_urlencoded::parse(text.as_bytes()).next()?;
        serde_json::from_str(&json).ok()
    }
}

/// Receives the notice of a server function.
#[derive(Debug, Clone, Default)]
pub struct Said(Arc<Mutex<Option<Notice>>>);

impl Said {
    pub(crate) fn say(&self, notice: Notice) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(notice);
    }

    pub fn take(&self) -> Option<Notice> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_survives_a_cookie() {
        let mut notice = Notice::new("Started 3 jobs = 100%; \"ü\" & more.");
        assert_eq!(
            Notice::from_text(&notice.clone().to_text(3500)).as_ref(),
            Some(&notice)
        );
        notice.refused = vec!["ü".repeat(200); 20];
        notice.more = 5;
        let text = notice.clone().to_text(3500);
        assert!(text.is_ascii() && text.len() <= 3500 && !text.contains([';', ',', ' ']));
        let read = Notice::from_text(&text).unwrap();
        assert!(!read.refused.is_empty());
        assert_eq!(read.refused.len() + read.more, 25);
        assert_eq!(Notice::from_text("x"), None);
    }
}
