//! `/jobs/{job_id}/results.csv` and `/jobs/{job_id}/results.xlsx`

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use backend::{
    Backend, Viewer,
    results::download::{self, Form},
};
use domain::{JobId, RowFilter, results_filename};
use futures::StreamExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa::IntoParams;

use crate::{
    auth::By,
    busy::Turns,
    input::{ApiPath, ApiQuery, QueryParameters, QueryValues, flag},
    problem::Problem,
};

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResultsQuery {
    #[param(required = false)]
    filter: RowFilter,
    /// For spreadsheets: with a BOM, and the delimiter and decimal sign of the uploaded file.
    #[param(required = false, schema_with = flag)]
    excel: bool,
}

impl QueryParameters for ResultsQuery {
    const NAMES: &'static [&'static str] = &["filter", "excel"];

    fn read(query: &mut QueryValues) -> Option<Self> {
        Some(Self {
            excel: query.flag("excel"),
            filter: filter(query)?,
        })
    }
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WorkbookQuery {
    #[param(required = false)]
    filter: RowFilter,
}

impl QueryParameters for WorkbookQuery {
    const NAMES: &'static [&'static str] = &["filter"];

    fn read(query: &mut QueryValues) -> Option<Self> {
        let filter = filter(query)?;
        Some(Self { filter })
    }
}

fn filter(query: &mut QueryValues) -> Option<RowFilter> {
    let filter = query.text("filter").unwrap_or_default();
    query.parsed(filter.parse::<RowFilter>())
}

/// Download a job's rows with their verdicts
///
/// The original columns come first, in their original order. Then follow `row_number`, `line`, `is_valid`,
/// `is_suspicious`, `errors` (the codes, joined by `;`) and `error_message`, and, unless the file has plain amounts and
/// dates, `amount_read` and `date_read`. For a cancelled or failed job, these are the rows that were checked.
#[utoipa::path(get, path = "/jobs/{job_id}/results.csv", tag = "jobs",
    params(("job_id" = JobId, Path), ResultsQuery),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 404, body = Problem),
        (status = 409, description = "the job is not over", body = Problem),
        (status = 422, body = Problem)))]
pub async fn download(
    State(backend): State<Backend>,
    By(viewer): By,
    State(turns): State<Turns>,
    ApiPath(job_id): ApiPath<JobId>,
    ApiQuery(query): ApiQuery<ResultsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let form = match query.excel {
        true => Form::SpreadsheetCsv,
        false => Form::Csv,
    };
    file(&backend, &viewer, &turns, job_id, query.filter, form, "csv").await
}

/// Download a job's rows with their verdicts as an Excel workbook
///
/// The workbook has one sheet with the columns of `results.csv`. The original fields are text; `amount_read` and
/// `date_read` are numbers and dates.
#[utoipa::path(get, path = "/jobs/{job_id}/results.xlsx", tag = "jobs",
    params(("job_id" = JobId, Path), WorkbookQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = XLSX),
        (status = 404, body = Problem),
        (status = 409, description = "the job is not over, or a worksheet can't hold the rows", body = Problem),
        (status = 422, body = Problem)))]
pub async fn workbook(
    State(backend): State<Backend>,
    By(viewer): By,
    State(turns): State<Turns>,
    ApiPath(job_id): ApiPath<JobId>,
    ApiQuery(query): ApiQuery<WorkbookQuery>,
) -> Result<impl IntoResponse, Problem> {
    let form = Form::Workbook;
    file(
        &backend,
        &viewer,
        &turns,
        job_id,
        query.filter,
        form,
        "xlsx",
    )
    .await
}

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

async fn file(
    backend: &Backend,
    viewer: &Viewer,
    turns: &Turns,
    job_id: JobId,
    filter: RowFilter,
    form: Form,
    extension: &str,
) -> Result<impl IntoResponse + use<>, Problem> {
    let turn = turns.downloads.take(viewer).await?;
    let download = download::download(backend, viewer, job_id, filter, form).await?;
    let kind = match form {
        Form::Workbook => XLSX,
        Form::Csv | Form::SpreadsheetCsv => "text/csv; charset=utf-8",
    };
    let filename = results_filename(&download.filename, filter, extension);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, attachment(&filename)),
    ];
    // Held until the content is sent.
    let content = download.content.map(move |piece| {
        let _ = &turn;
        piece
    });
    Ok((headers, Body::from_stream(content)))
}

/// Returns the `Content-Disposition` for a file with this name (RFC 6266).
fn attachment(filename: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(filename, NON_ALPHANUMERIC);
    HeaderValue::try_from(format!("attachment; filename*=UTF-8''{encoded}"))
        .expect("percent-encoded text is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filenames_of_downloads_are_encoded() {
        assert_eq!(
            attachment("Zahlungen \"März\".csv"),
            "attachment; filename*=UTF-8''Zahlungen%20%22M%C3%A4rz%22%2Ecsv"
        );
    }
}
