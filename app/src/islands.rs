//! The parts of a page that live in the browser. The server renders them as any other part, and writes their props
//! beside them as JSON.

mod job_summary;
mod jobs_live;
mod upload;

use domain::JobState;
use leptos::prelude::*;

#[cfg(feature = "ssr")]
pub use self::{
    job_summary::{JobSummary, title as job_title},
    jobs_live::JobsLive,
    upload::{CheckModule, Corrected, UploadForm},
};

#[cfg(feature = "hydrate")]
pub use self::upload::{CheckModule, read_shown};

/// Takes over a state that was told, if it is newer; else nothing is made anew.
fn renew(job: impl Update<Value = JobState>, told: JobState) {
    job.maybe_update(|job| job.renew(told));
}
