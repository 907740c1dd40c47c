//! Times other programs that load the same rows as a job.

use std::{path::Path, time::Instant};

use anyhow::ensure;
use serde_json::Value;
use testkit::Expected;

use super::system::System;
use crate::{process::output, project::command};

const TABLE: &str = "create table copied (
    result_id bigint not null, row_number bigint not null, transaction_id text, amount numeric, date date,
    description text, is_valid boolean not null, is_suspicious boolean not null, errors jsonb,
    primary key (result_id, row_number))";

/// Returns the seconds of `\copy` into a table with a primary key.
pub fn psql_copy(system: &System, table: &Path) -> anyhow::Result<f64> {
    system.sql(&["drop table if exists copied", TABLE, "checkpoint"])?;
    let started = Instant::now();
    system.sql(&[&format!(
        "\\copy copied from '{}' with (format csv)",
        table.display()
    )])?;
    let seconds = started.elapsed().as_secs_f64();
    system.sql(&["drop table copied"])?;
    Ok(seconds)
}

/// Returns the seconds that DuckDB takes on all cores to load a file into a table on disk and to find the repeated ids.
/// Rows that don't fit the columns' types are rejected; nothing else is checked.
pub fn duckdb_load(
    system: &System,
    python: &Path,
    upload: &Path,
    expected: &Expected,
) -> anyhow::Result<f64> {
    let mut load = command(python);
    load.args(["-B", "script/lib/duckdb_load.py"]).arg(upload);
    let measured = output(load.arg(system.path("duckdb.db")))?;
    let measured: Value = serde_json::from_str(&measured)?;
    let count = |name: &str| measured[name].as_u64().unwrap_or_default();
    ensure!(
        count("loaded") + count("rejected") == expected.rows
            && (count("repeated") > 0) == (expected.invalid > 0),
        "DuckDB measured {measured} in {expected:?}"
    );
    Ok(measured["seconds"].as_f64().unwrap_or_default())
}
