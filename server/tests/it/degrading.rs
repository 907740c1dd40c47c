//! Batchline while a service that it depends on is unreachable, full or read-only, and afterwards.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    harness::{SAMPLE, TestApp, expect, generated, problem},
    limits::send_endlessly,
};

const READ_ONLY: &str =
    "The database is read-only at the moment, so nothing can be changed. Try again later.";

/// Makes the database of the test read-only, or writable again, for new connections, and terminates all others.
async fn set_read_only(app: &TestApp, read_only: bool) {
    // This connection must be able to write while the database is read-only.
    let options = app.pool.connect_options();
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("set default_transaction_read_only = off; set transaction_read_only = off")
        .execute(&mut admin)
        .await
        .unwrap();
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    let setting = if read_only { "on" } else { "off" };
    sqlx::raw_sql(&format!(
        "alter database {name} set default_transaction_read_only = {setting}"
    ))
    .execute(&mut admin)
    .await
    .unwrap();
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&mut admin)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_database_that_is_read_only_for_a_while_costs_nothing() {
    let app = TestApp::start().await;
    app.slow_down().await;
    let user_id = app.user().await;
    let (content, [valid, invalid, _]) = generated(600_000);
    let running = app.upload(user_id, content).await;
    let waiting = app.upload(user_id, SAMPLE).await;
    app.begin(running).await;
    app.under_way(running).await;

    set_read_only(&app, true).await;
    // Refused before the body has arrived, so nobody sends the rest of it.
    let path = format!("/jobs?user_id={user_id}");
    let status = send_endlessly(
        &app.api,
        "POST",
        &path,
        "multipart/form-data; boundary=x",
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n",
    );
    assert_eq!(status.await, StatusCode::SERVICE_UNAVAILABLE);
    let refused = app
        .upload_response(user_id, "payments.csv", SAMPLE.into())
        .await;
    assert_eq!(
        problem(refused, StatusCode::SERVICE_UNAVAILABLE).await,
        READ_ONLY
    );
    for path in [
        format!("/jobs/{waiting}/start"),
        format!("/jobs/{running}/pause"),
    ] {
        let detail = problem(app.post(&path).await, StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(detail, READ_ONLY, "{path}");
    }
    // Existing data can be read.
    let page = app.page(&format!("/jobs/{running}")).await;
    assert!(page.contains("Processing"), "{page}");

    set_read_only(&app, false).await;
    let job = app.finished(running).await;
    assert_eq!(
        (
            &job["status"],
            &job["valid_records"],
            &job["invalid_records"]
        ),
        (&json!("completed"), &json!(valid), &json!(invalid))
    );
    app.begin(waiting).await;
    assert_eq!(app.finished(waiting).await["status"], "completed");
    expect(app.get("/health").await, StatusCode::OK).await;
}
