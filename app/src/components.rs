//! What several pages show.

mod confirm;
mod controls;
mod field;
mod job_state;
mod logo;
mod time;
mod title;

pub use confirm::Confirm;
pub use controls::{Controls, state_sentence};
pub use field::{FormError, TextField};
pub use job_state::{Announcements, ConnectionState, JobProgressBar, StatusBadge};
pub use logo::Logo;
pub use time::Time;
pub use title::StateTitle;
