//! The clock of PostgreSQL is set forward or back. Instead of the clock, these tests move the times that it has left
//! behind.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    harness::{RawConnection, TestApp, eventually, generated},
    people::{Accounts, By},
};

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

#[tokio::test]
async fn a_job_ends_right_although_the_clock_is_set() {
    let app = TestApp::start().await;
    app.slow_down().await;
    let user_id = app.user().await;
    let (content, [valid, invalid, suspicious]) = generated(400_000);
    // Times move forward when the clock is set back.
    for moved in ["1 hour", "-1 hour"] {
        let job_id = app.upload(user_id, content.clone()).await;
        let mut socket = app.socket(user_id).await;
        app.begin(job_id).await;
        app.under_way(job_id).await;
        let moved = format!(
            "update jobs set started_at = started_at + interval '{moved}', updated_at = updated_at + interval '{moved}'
             where status = 'processing';
             update job_chunks set committed_at = committed_at + interval '{moved}' where committed_at is not null"
        );
        execute(&app.pool, &moved).await;
        for message in socket.until_finished(job_id).await {
            for estimate in ["eta_seconds", "rows_per_second"] {
                let estimate = message[estimate].as_f64();
                assert!(estimate.is_none_or(|estimate| estimate >= 0.0), "{message}");
            }
        }
        let job = app.finished(job_id).await;
        let counts = ["valid_records", "invalid_records", "suspicious_records"];
        assert_eq!(job["status"], "completed");
        assert_eq!(
            counts.map(|count| &job[count]),
            [valid, invalid, suspicious]
                .map(|count| json!(count))
                .each_ref()
        );
        let report = app.get_json(&format!("/jobs/{job_id}/report")).await;
        let rates = report["throughput"]["rows_per_second"].as_array().unwrap();
        let is_rate = |rate: &Value| rate.as_f64().is_some_and(|rate| rate >= 0.0);
        assert!(rates.iter().all(is_rate), "{report}");
        let page = app.page_response(&format!("/jobs/{job_id}")).await;
        assert_eq!(page.status(), 200);
    }
}

const END: &str = "\r\n--x--\r\n";

/// Starts uploading `content` without its last ten bytes and [`END`], and lets the file's lease expire.
async fn upload_without_lease(app: &TestApp, content: &str) -> RawConnection {
    let user_id = app.user().await;
    let start = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n";
    let host = app.api.strip_prefix("http://").unwrap();
    let length = start.len() + content.len() + END.len();
    let head = format!(
        "POST /jobs?user_id={user_id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n{start}"
    );
    let mut upload = RawConnection::open(&app.api).await;
    upload.send(head).await;
    upload.send(&content[..content.len() - 10]).await;
    eventually("a part of the file", async || {
        (!app.stored_files().is_empty()).then_some(())
    })
    .await;
    execute(
        &app.pool,
        "update removals set due_at = now() - interval '1 hour'",
    )
    .await;
    eventually("the lease to end", async || {
        let is_over = "select not is_leased and due_at > now() from removals";
        let is_over: bool = sqlx::query_scalar(is_over)
            .fetch_one(&app.pool)
            .await
            .unwrap();
        is_over.then_some(())
    })
    .await;
    upload
}

#[tokio::test]
async fn a_file_that_is_being_uploaded_survives_the_end_of_its_lease() {
    let app = TestApp::start().await;
    let (content, _) = generated(200_000);
    let mut upload = upload_without_lease(&app, &content).await;
    upload.send(&content[content.len() - 10..]).await;
    upload.send(END).await;
    assert_eq!(upload.response().await.status, 201);
    let stored = app.stored_files().pop().unwrap();
    assert_eq!(std::fs::read_to_string(stored).unwrap(), content);
}

#[tokio::test]
async fn a_file_whose_removal_has_begun_does_not_become_a_job() {
    let app = TestApp::start().await;
    let (content, _) = generated(200_000);
    let mut upload = upload_without_lease(&app, &content).await;
    // Where another process is at work that doesn't end.
    execute(
        &app.pool,
        "update removals set is_being_removed = true, due_at = now() + interval '1 hour'",
    )
    .await;
    upload.send(&content[content.len() - 10..]).await;
    upload.send(END).await;
    let response = upload.response().await;
    assert_eq!(response.status, 503, "{response:?}");
    assert!(response.body.contains("Upload it again."), "{response:?}");
    // The server removes the file itself.
    eventually("the file to be removed", async || {
        app.stored_files().is_empty().then_some(())
    })
    .await;
    let jobs: i64 = sqlx::query_scalar("select count(*) from jobs")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(jobs, 0);
}

#[tokio::test]
async fn a_session_neither_ends_nor_lasts_for_ever_because_the_clock_is_set() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let by = By::from(&ann);
    let token = accounts.token(&ann, "read").await;
    let status = async || accounts.get("/users", &by).await.status();
    let moved = |interval: &str| {
        format!(
            "update sessions set created_at = created_at + interval '{interval}',
                 last_used_at = last_used_at + interval '{interval}', expires_at = expires_at + interval '{interval}'"
        )
    };
    let pool = &accounts.app.pool;
    // Set back by an hour: the session goes on, and no longer than others.
    execute(pool, &moved("1 hour")).await;
    execute(
        pool,
        "update api_tokens set last_used_at = now() + interval '1 hour'",
    )
    .await;
    assert_eq!(status().await, 200);
    assert_eq!(
        accounts.get("/users", &By::Token(token)).await.status(),
        200
    );
    let is_limited = "select (select bool_and(last_used_at <= now() and expires_at <= now() + interval '168 hours')
                              from sessions where user_id = $1)
                         and (select bool_and(last_used_at <= now()) from api_tokens)";
    let is_limited: bool = sqlx::query_scalar(is_limited)
        .bind(ann.id)
        .fetch_one(pool)
        .await
        .unwrap();
    assert!(is_limited);
    // Set forward by an hour.
    execute(pool, &moved("-1 hour")).await;
    assert_eq!(status().await, 200);
    // The session began while the clock was years ahead.
    execute(pool, &moved("3 years")).await;
    assert_eq!(status().await, 401);
    assert_eq!(accounts.signed_in(&ann.email).await.id, ann.id);
    let sessions: i64 = sqlx::query_scalar("select count(*) from sessions where user_id = $1")
        .bind(ann.id)
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(sessions, 1);
}
