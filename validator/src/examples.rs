//! Collects the first rows with each kind of error.

use serde::{Deserialize, Serialize};

use crate::{Candidate, ErrorCode, Problems};

/// How many rows are kept for each kind.
const EXAMPLES: usize = 3;

/// A row that has an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Example {
    pub code: ErrorCode,
    pub row_number: u64,
    /// The number of the line on which the row starts, counted from 1.
    pub line: Option<u64>,
    /// A sentence for the user.
    pub message: String,
}

/// The first rows with each kind of error.
#[derive(Debug, Default)]
pub struct Examples([Vec<Example>; ErrorCode::ALL.len()]);

impl Examples {
    pub fn add(&mut self, row: &mut Candidate<'_>) {
        let lacks = |code: ErrorCode| self.0[code as usize].len() < EXAMPLES;
        if row.verdict().is_valid() || !row.verdict().codes().any(lacks) {
            return;
        }
        let row = row.row();
        for error in &row.errors {
            let examples = &mut self.0[error.code as usize];
            if examples.len() < EXAMPLES {
                examples.push(Example {
                    code: error.code,
                    row_number: row.row_number,
                    line: row.line,
                    message: error.message.to_string(),
                });
            }
        }
    }

    /// Returns each kind with its number of rows and its first rows, the most frequent kind first.
    pub fn ranked(
        mut self,
        problems: &Problems,
    ) -> impl Iterator<Item = (ErrorCode, u64, Vec<Example>)> {
        let ranked = problems.ranked().into_iter();
        ranked.map(move |(code, rows)| (code, rows, std::mem::take(&mut self.0[code as usize])))
    }
}
