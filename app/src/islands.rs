//! The parts of a page that are live in the browser. The server renders them like any other part, together with their
//! props as JSON.

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

/// Applies a published state if it is newer. Otherwise nothing is rerendered.
fn renew(job: impl Update<Value = JobState>, newer: JobState) {
    job.maybe_update(|job| job.renew(newer));
}
