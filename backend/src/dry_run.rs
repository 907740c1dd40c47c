//! Checks a file without storing anything, with the result that a job would have.

use container::{Kind, Refusal, sniff};
use domain::{Decision, Format, InvalidField, Problems, Question};
use serde::Serialize;
use tokio::task::spawn_blocking;
use uuid::Uuid;
use validator::{
    Candidate, Checked, Checker, EncodingProbe, Example, Examples, FileError, Presumed,
};

use crate::{Error, Result};

/// The result that a job would have for a file.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DryRun {
    /// How the file is read. Before that can be decided, the format as given.
    pub format: Format,
    /// Why the file is read this way.
    pub decisions: Vec<Decision>,
    /// Questions that must be answered before the file can be read.
    pub questions: Vec<Question>,
    /// Why a job would fail, as a sentence.
    pub error: Option<String>,
    /// The code of `error`, for programs.
    pub error_code: Option<String>,
    pub total_records: u64,
    pub valid_records: u64,
    pub invalid_records: u64,
    pub suspicious_records: u64,
    pub ignored_records: u64,
    /// The number of rows with each kind of error.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub problems: Problems,
    /// The first rows with each kind of error.
    pub examples: Vec<Example>,
}

/// Checks the whole content of a file as a job would. Stores nothing.
///
/// # Errors
///
/// Returns [`Error::Invalid`] for an archive or a workbook, which only a job can unpack or convert.
pub async fn run(content: Vec<u8>, format: Format) -> Result<DryRun> {
    let kind = sniff(&content);
    if kind.is_packed() || kind.is_workbook() {
        let sentence = format!(
            "This is {}, which only a job unpacks. Upload it, or check the text in it.",
            kind.name()
        );
        return Err(InvalidField::new("file", &sentence).into());
    }
    if kind != Kind::Text && !content.is_empty() {
        let refusal = Refusal::Kind(kind);
        return Ok(DryRun {
            format,
            error: Some(refusal.to_string()),
            error_code: Some(refusal.code().to_owned()),
            ..DryRun::default()
        });
    }
    spawn_blocking(move || check(&content, format))
        .await
        .map_err(|error| Error::Internal(error.into()))
}

fn check(content: &[u8], format: Format) -> DryRun {
    let error = match checked(content, &format) {
        Ok(done) => return done,
        Err(error) => error,
    };
    let mut probe = EncodingProbe::new(&format);
    probe.push(content);
    let error = probe.finish(error);
    DryRun {
        questions: error.questions().to_vec(),
        error_code: Some(error.code().to_owned()),
        error: Some(error.to_string()),
        format,
        ..DryRun::default()
    }
}

fn checked(content: &[u8], format: &Format) -> std::result::Result<DryRun, FileError> {
    // Text has neither.
    let format = Format {
        container: None,
        sheet: None,
        ..format.clone()
    };
    let mut presumed = Presumed::default();
    loop {
        let mut examples = Examples::default();
        let mut on_row = |row: &mut Candidate<'_>| examples.add(row);
        let hash_key = Uuid::new_v4().into_bytes();
        let mut checker = Checker::new(hash_key, format.clone(), presumed);
        checker.push(content, &mut on_row)?;
        match checker.finish(&mut on_row)? {
            Checked::Again(proved) => presumed = proved,
            Checked::Done(done) => {
                let (_, reading, summary) = *done;
                let counts = summary.counts;
                return Ok(DryRun {
                    format: reading.format,
                    decisions: reading.decisions,
                    total_records: counts.processed,
                    valid_records: counts.valid,
                    invalid_records: counts.invalid,
                    suspicious_records: counts.suspicious,
                    ignored_records: counts.ignored,
                    examples: examples
                        .ranked(&summary.problems)
                        .flat_map(|(_, _, rows)| rows)
                        .collect(),
                    problems: summary.problems,
                    ..DryRun::default()
                });
            }
        }
    }
}
