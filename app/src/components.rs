//! What several pages show.

mod confirm;
mod controls;
mod counts;
mod dialog;
mod field;
mod job_state;
mod logo;
mod shortcuts;
mod time;
mod title;

pub use confirm::Confirm;
pub use controls::{Controls, state_sentence};
pub use counts::Counts;
pub use dialog::Dialog;
pub use field::{FormError, TextField};
pub use job_state::{Announcements, ConnectionState, JobProgressBar, StatusBadge};
pub use logo::Logo;
pub use shortcuts::Shortcuts;
pub use time::Time;
pub use title::StateTitle;
