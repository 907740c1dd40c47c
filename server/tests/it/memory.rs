//! Files that are made to take memory.
#![cfg(target_os = "linux")]

use std::{
    thread,
    time::{Duration, Instant},
};

use reqwest::{StatusCode, multipart};
use serde_json::{Value, json};

use crate::harness::{TestApp, eventually, expect, numbers};

/// Processes a file in which short rows get their missing fields.
async fn process_padded(app: &TestApp, file: String) -> Value {
    let user_id = app.user().await;
    let form = multipart::Form::new()
        .part("file", multipart::Part::text(file).file_name("long.csv"))
        .text("format", json!({"fields": "pad"}).to_string());
    let path = format!("/jobs?user_id={user_id}");
    let job = expect(app.post_multipart(&path, form).await, StatusCode::CREATED).await;
    let job_id = job["id"].as_i64().unwrap();
    app.begin(job_id).await;
    app.finished(job_id).await
}

#[tokio::test]
async fn planning_takes_little_memory_whatever_the_ids_are() {
    const ROWS: usize = 4_000_000;
    let app = TestApp::start().await;
    let mut peaks = Vec::new();
    for row in [
        // All ids at once would take 16 bytes each, and several times that while being sorted.
        |_| "a,,\n".to_owned(),
        |row| format!("{row:x},,\n"),
        // A slice has a million of these.
        |_| "x\n".to_owned(),
    ] {
        app.restart_worker();
        let file =
            "transaction_id,amount,date\n".to_owned() + &(0..ROWS).map(row).collect::<String>();
        let job = process_padded(&app, file).await;
        assert_eq!(
            (&job["status"], &job["invalid_records"]),
            (&json!("completed"), &json!(ROWS))
        );
        peaks.push(app.worker_memory() >> 20);
    }
    // Each slice that is scanned at the same time takes some megabytes, whatever the number of cores.
    let slices = thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    let limit = 130 + 20 * slices as u64;
    assert!(
        peaks.iter().all(|peak| *peak < limit),
        "{peaks:?} of {limit} MB"
    );
}

#[tokio::test]
async fn a_download_with_many_columns_takes_little_memory_and_ends_with_its_reader() {
    const ROWS: usize = 300_000;
    let app = TestApp::start().await;
    let columns: Vec<String> = (4..=1000).map(|column| format!("c{column}")).collect();
    let header = format!("transaction_id,amount,date,{}\n", columns.join(","));
    let file = header + &"x\n".repeat(ROWS);
    // Each short row gets its nearly thousand missing fields.
    let job = process_padded(&app, file).await;
    assert_eq!(job["invalid_records"], json!(ROWS), "{job}");
    let address = format!("/jobs/{}/results.csv", job["id"]);
    let (before, idle) = app.server_usage();
    // Reads the download until it has this many bytes.
    let download = async |until: usize| {
        let mut download = app.get(&address).await;
        assert_eq!(download.status(), StatusCode::OK);
        let mut read = 0;
        while read < until
            && let Some(bytes) = download.chunk().await.unwrap()
        {
            read += bytes.len();
        }
        read
    };
    assert!(download(usize::MAX).await > 300_000_000);
    let (_, whole) = app.server_usage();
    let whole = whole - idle;
    download(40 << 20).await;
    let (_, read) = app.server_usage();
    // Without a reader nothing is written: the server rests, and not because it has finished.
    let (mut used, mut since) = (0.0, Instant::now());
    eventually("the server to rest", async || {
        let (_, now) = app.server_usage();
        if std::mem::replace(&mut used, now) != now {
            since = Instant::now();
        }
        (since.elapsed() > Duration::from_millis(300)).then_some(())
    })
    .await;
    let (peak, rested) = app.server_usage();
    assert!(rested - read < whole / 4.0, "{read}, {rested}, {whole}");
    assert!(peak < before + (64 << 20), "{before}, {peak}");
}

#[tokio::test]
async fn a_page_of_long_rows_ends_after_some_megabytes() {
    const ROWS: u64 = 20;
    let app = TestApp::start().await;
    let row = format!("same,1,2024-01-01,{}\n", "long ".repeat(180_000));
    let file = "transaction_id,amount,date,description\n".to_owned() + &row.repeat(ROWS as usize);
    let job = app.process(file).await;
    assert_eq!(
        (&job["status"], &job["invalid_records"]),
        (&json!("completed"), &json!(ROWS - 1))
    );
    // A page has 8 MiB, of 0.9 MB each; the last row may exceed them. Everything is counted on each page, whether rows
    // are listed, found by the index of ids, or by their text, which the second search has counted before.
    for query in ["", "q=same&", "q=LONG&", "q=LONG&"] {
        for (page, expected) in [
            ("size=20", 1..=10),
            ("size=7&page=3", 15..=20),
            ("size=18&page=2", 19..=20),
        ] {
            let (rows, total) = app.rows(&job["id"], &format!("{query}{page}")).await;
            assert_eq!(
                (numbers(&rows), total),
                (Vec::from_iter(expected), ROWS),
                "{query}{page}"
            );
        }
    }
}
