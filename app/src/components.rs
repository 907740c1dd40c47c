//! What several pages and islands show.

mod confirm;
mod controls;
mod counts;
mod dialog;
mod field;
mod job_state;
mod logo;
mod text;
mod time;
mod title;

pub use confirm::Confirm;
pub use controls::{Controls, shown, state_sentence};
pub use counts::Counts;
pub use dialog::Dialog;
pub use field::FormError;
#[cfg(feature = "ssr")]
pub use field::TextField;
pub use job_state::{Announcements, ConnectionState, JobProgressBar, StatusBadge};
#[cfg(feature = "ssr")]
pub use logo::Logo;
pub use text::{some_text, text};
pub use time::Time;
pub use title::document_title;
