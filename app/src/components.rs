//! What several pages show.

mod confirm;
mod field;
mod job_state;
mod logo;
mod start;
mod time;
mod title;

pub use confirm::Confirm;
pub use field::{FormError, TextField};
pub use job_state::{Announcements, ConnectionState, JobProgressBar, StatusBadge};
pub use logo::Logo;
pub use start::Start;
pub use time::Time;
pub use title::StateTitle;
