//! Components shared by several pages and islands.

#[cfg(feature = "ssr")]
mod age;
mod confirm;
#[cfg(feature = "ssr")]
mod confirm_post;
mod controls;
#[cfg(feature = "ssr")]
mod copy;
mod counts;
mod dialog;
mod field;
mod file_name;
mod job_state;
mod logo;
#[cfg(feature = "ssr")]
mod notice;
#[cfg(feature = "ssr")]
mod shortcuts;
mod text;
#[cfg(feature = "ssr")]
mod time;
mod title;

#[cfg(feature = "ssr")]
pub use age::Age;
pub use confirm::Confirm;
#[cfg(feature = "ssr")]
pub use confirm_post::ConfirmPost;
pub use controls::{Controls, shown};
#[cfg(feature = "ssr")]
pub use copy::Copy;
pub use counts::Counts;
pub use dialog::Dialog;
pub use field::FormError;
#[cfg(feature = "ssr")]
pub use field::{PasswordField, TextField};
pub use file_name::FileName;
#[cfg(feature = "ssr")]
pub use job_state::job_news;
pub use job_state::{Announcements, ConnectionState, JobProgressBar, StatusBadge};
#[cfg(feature = "ssr")]
pub use logo::Logo;
#[cfg(feature = "ssr")]
pub use notice::NoticePlace;
#[cfg(feature = "ssr")]
pub use shortcuts::{COMMANDS, Shortcuts};
pub use text::{some_text, text};
#[cfg(feature = "ssr")]
pub use time::Time;
pub use title::follow_title;
#[cfg(feature = "ssr")]
pub use title::{document_title, error_title};
