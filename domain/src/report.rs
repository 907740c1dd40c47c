//! What is said of a job as a whole.

use serde::{Deserialize, Serialize};

use crate::{AmountSum, DateSpan, Problems};

/// What the rows of a job that have their verdict amount to, and how fast they got it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobReport {
    pub job_id: i64,
    /// Rows by the code of an error that they have; a row with several codes counts for each.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub problems: Problems,
    /// Sum of the valid amounts: a JSON number with exactly the digits of the decimal.
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    pub valid_amount: AmountSum,
    /// The dates of the valid rows; `null` without any.
    pub valid_dates: Option<DateSpan>,
    pub throughput: Throughput,
}

/// How many rows got their verdict in each of equally long parts of the time from the start to the end, or to
/// the last verdict. A pause is a part of that time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Throughput {
    /// Length of one part.
    pub part_seconds: f64,
    /// For each part, in their order.
    pub rows_per_second: Vec<f64>,
}

impl Throughput {
    /// The most parts: more can't be told apart in a small chart.
    pub const MAX_PARTS: usize = 60;
    /// A part is long enough that several chunks are committed in it: otherwise the chart would show the chunks,
    /// not the speed.
    const CHUNKS_PER_PART: usize = 4;

    /// From the chunks that are committed: seconds since the start, and rows. `seconds` is the whole time.
    pub fn new(chunks: &[(f64, u64)], seconds: f64) -> Self {
        let parts = (chunks.len() / Self::CHUNKS_PER_PART).min(Self::MAX_PARTS);
        if parts == 0 || seconds <= 0.0 {
            return Self::default();
        }
        let part_seconds = seconds / parts as f64;
        let mut rows_per_second = vec![0.0; parts];
        for (at, rows) in chunks {
            let part = ((at / part_seconds) as usize).min(parts - 1);
            rows_per_second[part] += *rows as f64 / part_seconds;
        }
        Self {
            part_seconds,
            rows_per_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_counts_each_chunk_in_its_part() {
        let chunks: Vec<(f64, u64)> = (1..=8).map(|at| (f64::from(at) / 2.0, 100)).collect();
        let throughput = Throughput::new(&chunks, 4.0);
        assert_eq!(throughput.part_seconds, 2.0);
        // The chunk that ends with the first part stands in the second.
        assert_eq!(throughput.rows_per_second, [150.0, 250.0]);
        assert_eq!(Throughput::new(&chunks[..3], 4.0), Throughput::default());
        let many = vec![(1.0, 1); 1000];
        let throughput = Throughput::new(&many, 2.0);
        assert_eq!(throughput.rows_per_second.len(), Throughput::MAX_PARTS);
        assert_eq!(throughput.rows_per_second[30], 30_000.0);
    }
}
