//! The pages, one function each: it reads the page's data and renders it. Components of a single page are in the folder
//! with its name.

mod account;
mod audit;
mod confirm;
mod delete_jobs;
mod failure;
mod find;
mod formats;
mod home;
mod job;
mod job_list;
mod job_row;
mod members;
mod pager;
mod quotas;
mod second_factor;
mod sign_in;
mod tabs;
mod user;
mod users;

pub use crate::api::change_jobs;
pub use account::{AccountForms, account};
pub use audit::audit;
pub use confirm::{Confirmation, PendingForm, ProviderLink, confirm, confirmed};
pub use delete_jobs::delete_jobs;
pub use failure::{failure, not_found, refused};
pub(crate) use find::FindForm;
pub use find::find;
pub use formats::formats;
pub use home::home;
pub use job::{answer, job};
pub use job_row::job_row;
pub use members::{create_member, lock_user, members, password_link, set_role, unlock_user};
pub use second_factor::{enter_code, new_second_factor, recovery_codes, second_factor};
pub use sign_in::{SignIn, set_password, sign_in};
pub use user::user;
pub use users::users;

/// The interval, in seconds, at which a page with running jobs reloads without JavaScript.
const REFRESH_SECONDS: &str = "2";
