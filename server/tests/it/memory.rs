//! Files that are made to take memory.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use reqwest::{StatusCode, multipart};
use serde_json::json;

use crate::harness::{TestApp, eventually, expect};

#[tokio::test]
async fn a_file_with_one_id_in_all_rows_takes_little_memory() {
    const ROWS: usize = 5_000_000;
    let app = TestApp::start().await;
    let header = "transaction_id,amount,date\n";
    let job = app.process(header.to_owned() + &"a,,\n".repeat(ROWS)).await;
    assert_eq!(
        (&job["status"], &job["invalid_records"]),
        (&json!("completed"), &json!(ROWS))
    );
    // All ids at once would take 16 bytes each, and several times that while being sorted.
    let peak = app.worker_memory();
    assert!(peak < 300 << 20, "{peak}");
}

#[tokio::test]
async fn a_download_with_many_columns_takes_little_memory_and_ends_with_its_reader() {
    const ROWS: usize = 300_000;
    let app = TestApp::start().await;
    let columns: Vec<String> = (4..=1000).map(|column| format!("c{column}")).collect();
    let header = format!("transaction_id,amount,date,{}\n", columns.join(","));
    let file = header + &"x\n".repeat(ROWS);
    let user_id = app.user().await;
    let form = multipart::Form::new()
        .part("file", multipart::Part::text(file).file_name("wide.csv"))
        // Each short row gets its nearly thousand missing fields.
        .text("format", json!({"fields": "pad"}).to_string());
    let path = format!("/jobs?user_id={user_id}");
    let job = expect(app.post_multipart(&path, form).await, StatusCode::CREATED).await;
    let job_id = job["id"].as_i64().unwrap();
    app.begin(job_id).await;
    let job = app.finished(job_id).await;
    assert_eq!(job["invalid_records"], json!(ROWS), "{job}");
    let (before, _) = app.server_usage();
    let mut download = app.get(&format!("/jobs/{}/results.csv", job["id"])).await;
    assert_eq!(download.status(), StatusCode::OK);
    // 40 MB of 300 MB.
    let mut read = 0;
    while read < 40 << 20 {
        read += download.chunk().await.unwrap().unwrap().len();
    }
    drop(download);
    let (peak, _) = app.server_usage();
    assert!(peak < before + (64 << 20), "{before}, {peak}");
    // Nothing continues without a reader.
    let (mut used, mut since) = (0.0, Instant::now());
    eventually("the server to rest", async || {
        let (_, now) = app.server_usage();
        if std::mem::replace(&mut used, now) != now {
            since = Instant::now();
        }
        (since.elapsed() > Duration::from_millis(300)).then_some(())
    })
    .await;
    let (peak, _) = app.server_usage();
    assert!(peak < before + (64 << 20), "{before}, {peak}");
}

#[tokio::test]
async fn a_page_of_long_rows_ends_after_some_megabytes() {
    const ROWS: usize = 20;
    let app = TestApp::start().await;
    let row = format!(",1,2024-01-01,{}\n", "long ".repeat(180_000));
    let rows: Vec<String> = (1..=ROWS).map(|number| format!("T{number}{row}")).collect();
    let job = app
        .process("transaction_id,amount,date,description\n".to_owned() + &rows.concat())
        .await;
    assert_eq!(job["valid_records"], json!(ROWS));
    let path = format!("/jobs/{}/transactions?size={ROWS}", job["id"]);
    let page = app.get(&path).await;
    assert_eq!(page.headers()["x-total-count"], "20");
    let page = expect(page, StatusCode::OK).await;
    let shown = page.as_array().unwrap().len();
    // 8 MiB of 0.9 MB each; the last one may exceed them.
    assert_eq!(shown, 10);
}
