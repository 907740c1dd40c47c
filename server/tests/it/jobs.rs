//! Jobs from the upload to the deletion.

use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Options, SAMPLE, TestApp, eventually, expect, generated, problem};

#[tokio::test]
async fn the_sample_is_processed() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let response = app
        .upload_response(user_id, "C:\\data\\May payments.csv", SAMPLE.into())
        .await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let uploaded = expect(response, StatusCode::CREATED).await;
    assert_eq!(location, format!("/jobs/{}", uploaded["id"]));
    assert_eq!(uploaded["job_id"], uploaded["id"]);
    assert_eq!(uploaded["filename"], "May payments.csv");
    assert_eq!(uploaded["status"], "pending");
    assert_eq!(uploaded["bytes"], SAMPLE.len());
    // The output of sha256sum.
    assert_eq!(
        uploaded["sha256"],
        "d02f2d3c3e163c99f6e38a266187071aefd4608907314b6094086624679793b0"
    );

    let job_id = uploaded["id"].as_i64().unwrap();
    let response = app.post(&format!("/jobs/{job_id}/start")).await;
    assert_eq!(response.headers()["location"], location.as_str());
    let started = expect(response, StatusCode::ACCEPTED).await;
    assert_eq!(
        (&started["message"], &started["job_id"]),
        (&json!("started"), &json!(job_id))
    );

    let job = app.finished(job_id).await;
    for (field, value) in [
        ("status", json!("completed")),
        ("total_records", json!(4)),
        ("processed_records", json!(4)),
        ("valid_records", json!(4)),
        ("invalid_records", json!(0)),
        ("suspicious_records", json!(1)),
        ("progress_percent", json!(100.0)),
        ("error", Value::Null),
        ("run", json!(1)),
    ] {
        assert_eq!(job[field], value, "{field}");
    }
    assert!(job["started_at"].as_str() < job["finished_at"].as_str());
    let listed = app.get_json(&format!("/users/{user_id}/jobs")).await;
    let mut without_format = job.clone();
    for key in [
        "format",
        "format_name",
        "decisions",
        "questions",
        "same_file_as",
        "expires_at",
        "corrects",
        "versions",
    ] {
        assert!(
            without_format
                .as_object_mut()
                .unwrap()
                .remove(key)
                .is_some()
        );
    }
    assert_eq!(listed[0], without_format);

    let rows = app.rows_as_text(&job["id"]).await;
    assert_eq!(
        rows,
        concat!(
            r#"[{"row_number":1,"line":2,"transaction_id":"TXN001","amount":150.00,"date":"2024-01-15","#,
            r#""description":"Monthly subscription","is_valid":true,"is_suspicious":false,"errors":[],"error_message":null},"#,
            r#"{"row_number":2,"line":3,"transaction_id":"TXN002","amount":75.50,"date":"2024-01-16","#,
            r#""description":"Service fee","is_valid":true,"is_suspicious":false,"errors":[],"error_message":null},"#,
            r#"{"row_number":3,"line":4,"transaction_id":"TXN003","amount":-50.00,"date":"2024-01-17","#,
            r#""description":"Refund","is_valid":true,"is_suspicious":true,"errors":[],"error_message":null},"#,
            r#"{"row_number":4,"line":5,"transaction_id":"TXN004","amount":1000.00,"date":"2024-01-18","#,
            r#""description":"Product purchase","is_valid":true,"is_suspicious":false,"errors":[],"error_message":null}]"#,
        )
    );
}

#[tokio::test]
async fn a_job_that_is_started_many_times_at_once_runs_once() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    join_all((0..10).map(|_| app.begin(job_id))).await;
    let job = app.finished(job_id).await;
    assert_eq!(
        (&job["run"], &job["processed_records"]),
        (&json!(1), &json!(4))
    );
    // A late command makes no difference.
    app.begin(job_id).await;
    assert_eq!(app.get_json(&format!("/jobs/{job_id}")).await, job);
}

#[tokio::test]
async fn small_jobs_do_not_wait_for_a_large_one() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    // The commits of the large file's chunks wait for this lock.
    let lock = app
        .hold(
            "after update on job_chunks for each row when (new.rows > 1000)",
            "true",
        )
        .await;
    let large = app.upload(user_id, generated(400_000).0).await;
    let small = generated(100).0;
    let others = join_all((0..100).map(|_| app.upload(user_id, small.clone()))).await;
    app.begin(large).await;
    app.waiting("advisory", 1).await;
    join_all(others.iter().map(|job_id| app.begin(*job_id))).await;
    for job_id in others {
        assert_eq!(app.finished(job_id).await["status"], "completed");
    }
    let unfinished = app.get_json(&format!("/jobs/{large}")).await;
    assert_eq!(unfinished["status"], "processing");
    lock.rollback().await.unwrap();
    let large = app.finished(large).await;
    assert_eq!(
        (&large["status"], &large["processed_records"]),
        (&json!("completed"), &json!(400_000))
    );
}

#[tokio::test]
async fn a_start_without_temporal_changes_nothing() {
    let app = TestApp::start_with(Options {
        // Nothing listens on the discard port.
        temporal_address: Some("127.0.0.1:9".to_owned()),
        ..Options::default()
    })
    .await;
    let user_id = app.user().await;
    // Small files, which start together, and a larger one, which starts alone.
    let mut job_ids = join_all((0..5).map(|_| app.upload(user_id, SAMPLE))).await;
    job_ids.push(app.upload(user_id, generated(30_000).0).await);
    join_all(job_ids.iter().map(async |job_id| {
        let response = app.post(&format!("/jobs/{job_id}/start")).await;
        let detail = problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(detail.contains("Nothing was changed"), "{detail}");
        let job = app.get_json(&format!("/jobs/{job_id}")).await;
        assert_eq!(
            (&job["status"], &job["run"]),
            (&json!("pending"), &json!(0))
        );
    }))
    .await;
    let health = expect(app.get("/health").await, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(
        health,
        json!({"status": "unavailable", "postgres": true, "temporal": false})
    );
}

/// Groups of starts wait for Temporal in turn, so each would be refused later than the one before.
#[tokio::test]
async fn starts_that_wait_for_temporal_are_refused_together() {
    // Accepts connections but never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = TestApp::start_with(Options {
        temporal_address: Some(format!("http://{}", silent.local_addr().unwrap())),
        ..Options::default()
    })
    .await;
    let user_id = app.user().await;
    // Five groups.
    let job_ids = join_all((0..150).map(|_| app.upload(user_id, SAMPLE))).await;
    let refused = join_all(job_ids.iter().map(async |job_id| {
        let response = app.post(&format!("/jobs/{job_id}/start")).await;
        let detail = problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(detail.contains("Nothing was changed"), "{detail}");
    }));
    let deadline = Duration::from_secs(35);
    tokio::time::timeout(deadline, refused).await.unwrap();
}

#[tokio::test]
async fn a_deleted_job_leaves_nothing() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    app.begin(job_id).await;
    // The job may still be running.
    let path = format!("/jobs/{job_id}");
    expect(app.delete(&path).await, StatusCode::NO_CONTENT).await;
    assert_eq!(
        problem(app.get(&path).await, StatusCode::NOT_FOUND).await,
        "Job not found"
    );
    problem(app.delete(&path).await, StatusCode::NOT_FOUND).await;
    problem(
        app.post(&format!("{path}/start")).await,
        StatusCode::NOT_FOUND,
    )
    .await;
    problem(
        app.get(&format!("{path}/transactions")).await,
        StatusCode::NOT_FOUND,
    )
    .await;
    // Data that is no longer visible is removed in the background.
    app.emptied().await;
}

#[tokio::test]
async fn refused_uploads_leave_nothing() {
    let app = TestApp::start_with(Options {
        max_upload_bytes: Some(10_000_000),
        ..Options::default()
    })
    .await;
    let user_id = app.user().await;
    let response = app
        .upload_response(user_id, "big.csv", vec![b'x'; 10_000_001])
        .await;
    let detail = problem(response, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert!(detail.contains("10000000 bytes"), "{detail}");
    // The client receives the response although most of the body is still unsent.
    let response = app
        .upload_response(user_id, "bigger.csv", vec![b'x'; 19_000_000])
        .await;
    problem(response, StatusCode::PAYLOAD_TOO_LARGE).await;
    let response = app
        .upload_response(user_id + 1, "a.csv", SAMPLE.into())
        .await;
    assert_eq!(
        problem(response, StatusCode::NOT_FOUND).await,
        "User not found"
    );
    let response = app.post(&format!("/jobs?user_id={user_id}")).await;
    problem(response, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    eventually("the files to be removed", async || {
        app.stored_files().is_empty().then_some(())
    })
    .await;
    assert_eq!(
        app.get_json(&format!("/users/{user_id}/jobs")).await,
        json!([])
    );

    // A file of exactly the maximum size is accepted.
    app.upload(user_id, vec![b'x'; 10_000_000]).await;
    assert_eq!(app.stored_files().len(), 1);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let upload = app.begin_upload(user_id).await;
    eventually("the file to be begun", async || {
        (!app.stored_files().is_empty()).then_some(())
    })
    .await;
    drop(upload);
    eventually("the file to be removed", async || {
        app.stored_files().is_empty().then_some(())
    })
    .await;
    assert_eq!(
        app.get_json(&format!("/users/{user_id}/jobs")).await,
        json!([])
    );
}
