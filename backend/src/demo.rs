//! Creates a demonstration job for users without a file at hand.

use std::{convert::Infallible, fmt::Write, future};

use bytes::Bytes;
use domain::{GivenFormat, Job, UserId};
use futures::stream;

use crate::{
    Backend, Error, Result,
    access::Viewer,
    own_task,
    uploads::{self, UploadOptions, UploadRest},
};

const FILENAME: &str = "demo.csv";
/// Enough rows for the progress to be visible.
const ROWS: u32 = 200_000;
const ROWS_PER_PIECE: u32 = 5_000;

/// Uploads a file with many kinds of errors for the user and starts it. If Temporal doesn't accept the job, or the user
/// already has the maximum number of jobs running, it stays pending and can be started by hand.
pub async fn create_job(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<Job> {
    let (backend, viewer) = (backend.clone(), viewer.clone());
    // Runs in a separate task, because nothing more has to arrive: whoever asked for it finds the job in their list.
    own_task::complete(async move { create(&backend, &viewer, user_id).await }).await
}

async fn create(backend: &Backend, viewer: &Viewer, user_id: UserId) -> Result<Job> {
    let pieces = (0..ROWS).step_by(ROWS_PER_PIECE as usize).map(piece);
    let content = stream::iter(pieces.map(|piece| Ok::<_, Infallible>(Bytes::from(piece))));
    let with = UploadOptions::default();
    let rest = future::ready(Some(UploadRest {
        given: GivenFormat::default(),
        starts: true,
    }));
    let admission = uploads::admit(backend, viewer, user_id, None).await?;
    let uploaded =
        uploads::upload(backend, viewer, admission, FILENAME, &with, content, rest).await?;
    match uploaded.not_started {
        None | Some(Error::Unavailable(_) | Error::QuotaExceeded(_)) => Ok(uploaded.job),
        Some(error) => Err(error),
    }
}

/// Returns some rows, starting with number `first`, and the header before the very first.
fn piece(first: u32) -> String {
    let mut text = String::new();
    if first == 0 {
        text += "transaction_id,amount,date,description\n";
    }
    for row in first..first + ROWS_PER_PIECE {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{}", line(row));
    }
    text
}

fn line(row: u32) -> String {
    const WHAT: [&str; 7] = [
        "Monthly subscription",
        "Service fee",
        "\"Hardware, two parts\"",
        "Consulting",
        "Travel",
        "Café Zürich",
        "Refund",
    ];
    let id = match row {
        row if row % 1_301 == 13 => String::new(),
        row if row % 907 == 100 => format!("DEMO-{:06}", row - 50),
        row => format!("DEMO-{row:06}"),
    };
    let cents = u64::from(row) * 7_919 % 4_000_000;
    let amount = match row {
        row if row % 401 == 7 => "n/a".to_owned(),
        row if row % 1_009 == 3 => String::new(),
        row if row % 83 == 5 => format!("-{}.{:02}", cents / 100, cents % 100),
        row if row % 1_511 == 9 => format!("{}.{:02}", 50_000 + cents, cents % 100),
        _ => format!("{}.{:02}", cents / 100, cents % 100),
    };
    let (month, day) = (row / 28 % 12 + 1, row % 28 + 1);
    let date = match row {
        row if row % 601 == 2 => format!("2024-{month:02}-32"),
        row if row % 1_201 == 4 => "yesterday".to_owned(),
        _ => format!("2024-{month:02}-{day:02}"),
    };
    let description = WHAT[row as usize % WHAT.len()];
    let surplus = if row % 5_003 == 8 { ",,surplus" } else { "" };
    format!("{id},{amount},{date},{description}{surplus}")
}
