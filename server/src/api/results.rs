//! `/jobs/{job_id}/results.csv`

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use backend::{Backend, results::csv};
use domain::{InvalidField, JobId, RowFilter, results_filename};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::{ApiPath, ApiQuery, Problem};

#[derive(Debug, Deserialize, IntoParams)]
pub struct ResultsQuery {
    /// `all`, `valid`, `invalid`, `suspicious`, or the code of an error that the rows have.
    #[serde(default)]
    filter: String,
}

/// Download a completed job's rows with their verdicts
///
/// The original columns in their original order, then `row_number`, `line`, `is_valid`,
/// `is_suspicious`, `errors` (the codes, joined by `;`) and `error_message`.
#[utoipa::path(get, path = "/jobs/{job_id}/results.csv", tag = "jobs",
    params(("job_id" = JobId, Path), ResultsQuery),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 404, body = Problem),
        (status = 409, description = "the job is not completed", body = Problem),
        (status = 422, body = Problem)))]
pub async fn download(
    State(backend): State<Backend>,
    ApiPath(job_id): ApiPath<JobId>,
    ApiQuery(query): ApiQuery<ResultsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let filter: RowFilter = query.filter.parse().map_err(InvalidField::from)?;
    let download = csv::download(&backend, job_id, filter).await?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/csv; charset=utf-8"),
        ),
        (
            header::CONTENT_DISPOSITION,
            attachment(&results_filename(&download.filename, filter)),
        ),
    ];
    Ok((headers, Body::from_stream(download.content)))
}

/// `Content-Disposition` for a file of this name (RFC 6266).
fn attachment(filename: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(filename, NON_ALPHANUMERIC);
    HeaderValue::try_from(format!("attachment; filename*=UTF-8''{encoded}"))
        .expect("percent-encoded text is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_downloads() {
        assert_eq!(
            attachment("Zahlungen \"März\".csv"),
            "attachment; filename*=UTF-8''Zahlungen%20%22M%C3%A4rz%22%2Ecsv"
        );
    }
}
