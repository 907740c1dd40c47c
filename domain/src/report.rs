//! Reports on whole jobs.

use serde::{Deserialize, Serialize};

use validator::{AmountSizes, AmountSum, DateSpan, Month, Problems, RowFilter};

use crate::JobId;

/// A summary of the job's rows that have a verdict, and of how fast they were processed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobReport {
    pub job_id: JobId,
    /// The number of rows for each error code. A row with several codes counts for each of them.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub problems: Problems,
    /// The sum of the valid amounts: a JSON number with exactly the digits of the decimal.
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    pub valid_amount: AmountSum,
    /// The dates of the valid rows. `null` if there are none.
    pub valid_dates: Option<DateSpan>,
    /// The valid rows by the absolute size of their amount, smallest size first. `null` if an earlier version of
    /// Batchline validated some of the rows.
    pub amounts: Option<Vec<AmountRows>>,
    /// The valid rows by the month of their date, in order, without months that have no rows. `null` in the same case
    /// as `amounts`, and if there are more than 1,200 months.
    pub months: Option<Vec<MonthRows>>,
    pub throughput: Throughput,
}

/// The rows whose amount has a certain size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AmountRows {
    /// The smallest amount of this size: 0, 1, 10, 100 and so on.
    pub from: u64,
    /// The start of the next size. `null` for the largest.
    pub below: Option<u64>,
    pub rows: u64,
}

impl AmountRows {
    pub fn of(sizes: AmountSizes) -> Vec<Self> {
        let rows = sizes.rows().into_iter().enumerate();
        rows.map(|(size, rows)| Self {
            from: AmountSizes::from(size),
            below: (size + 1 < AmountSizes::COUNT).then(|| AmountSizes::from(size + 1)),
            rows,
        })
        .collect()
    }
}

/// The rows whose date is in a certain month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MonthRows {
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "2024-01"))]
    pub month: Month,
    pub rows: u64,
}

/// The number of rows that got their verdict in each of several equal intervals between the start and the end, or the
/// last verdict so far. Pauses are included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Throughput {
    /// The length of an interval in seconds.
    pub part_seconds: f64,
    /// The rate in each interval, in order.
    pub rows_per_second: Vec<f64>,
}

impl Throughput {
    /// The maximum number of intervals. A small chart can't show more.
    pub const MAX_PARTS: usize = 60;

    /// Computes the throughput from the committed chunks: the seconds since the start and the number of rows, in the
    /// order of their commits. `seconds` is the total time. The rows of a chunk are spread over the time since the
    /// previous commit, because they become known all at once; otherwise the result would show the chunks rather than
    /// the speed.
    pub fn new(chunks: &[(f64, u64)], seconds: f64) -> Self {
        let parts = chunks.len().min(Self::MAX_PARTS);
        if parts == 0 || seconds <= 0.0 {
            return Self::default();
        }
        let part_seconds = seconds / parts as f64;
        let mut rows = vec![0.0; parts];
        let mut from = 0.0;
        for (until, chunk_rows) in chunks {
            // If the clock was set back, a chunk appears to precede the previous one or the start, or to follow the end.
            let until = until.max(from);
            let (first, last) = (from / part_seconds, until / part_seconds);
            let part_of = |place: f64| (place as usize).min(parts - 1);
            let inside = part_of(first)..=part_of(last);
            for (part, rows) in rows
                .iter_mut()
                .enumerate()
                .filter(|(part, _)| inside.contains(part))
            {
                let begin = first.max(part as f64);
                let end = match part + 1 < parts {
                    true => last.min(part as f64 + 1.0),
                    false => last,
                };
                let share = match last > first {
                    true => (end - begin) / (last - first),
                    false => 1.0,
                };
                *rows += *chunk_rows as f64 * share;
            }
            from = until;
        }
        Self {
            part_seconds,
            rows_per_second: rows.into_iter().map(|rows| rows / part_seconds).collect(),
        }
    }
}

/// Returns the file name for downloading the rows under `filter` of the file `filename`, such as
/// `payments-invalid.csv`.
pub fn results_filename(filename: &str, filter: RowFilter, extension: &str) -> String {
    let stem = match filename.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => filename,
    };
    format!("{stem}-{filter}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_downloads() {
        let name = |filename| results_filename(filename, RowFilter::Invalid, "csv");
        assert_eq!(name("May.2024.csv"), "May.2024-invalid.csv");
        assert_eq!(name("payments"), "payments-invalid.csv");
        assert_eq!(name(".csv"), ".csv-invalid.csv");
    }

    #[test]
    fn throughput_spreads_the_rows_over_the_time() {
        assert_eq!(Throughput::new(&[], 4.0), Throughput::default());
        // 100 rows in the first second, 300 in the next three, and none in the last four.
        let throughput = Throughput::new(&[(1.0, 100), (4.0, 300)], 8.0);
        assert_eq!(throughput.part_seconds, 4.0);
        assert_eq!(throughput.rows_per_second, [100.0, 0.0]);
        let throughput = Throughput::new(&[(1.0, 100), (3.0, 400), (3.0, 100)], 3.0);
        let [first, second, third] = throughput.rows_per_second[..] else {
            panic!("three parts");
        };
        assert_eq!((first, second), (100.0, 200.0));
        // Two commits at the same time.
        assert!((third - 300.0).abs() < 1.0, "{third}");
    }

    #[test]
    fn throughput_survives_a_clock_that_is_set() {
        // Set back by 5 seconds, and forward again.
        let chunks = [(2.0, 100), (-1.0, 200), (-0.5, 300), (6.0, 400)];
        for chunks in [chunks, [chunks[1], chunks[2], chunks[0], chunks[3]]] {
            let throughput = Throughput::new(&chunks, 4.0);
            let rates = &throughput.rows_per_second;
            assert!(rates.iter().all(|rate| *rate >= 0.0), "{rates:?}");
            let rows: f64 = rates.iter().sum::<f64>() * throughput.part_seconds;
            assert!((rows - 1000.0).abs() < 1e-6, "{rows}");
        }
    }

    #[test]
    fn throughput_loses_no_row() {
        let chunks: Vec<(f64, u64)> = (1..500_u32).map(|at| (f64::from(at).sqrt(), 7)).collect();
        let throughput = Throughput::new(&chunks, 23.0);
        assert_eq!(throughput.rows_per_second.len(), Throughput::MAX_PARTS);
        let rows: f64 = throughput.rows_per_second.iter().sum::<f64>() * throughput.part_seconds;
        assert!((rows - 499.0 * 7.0).abs() < 1e-6, "{rows}");
    }
}
