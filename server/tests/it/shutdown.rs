//! The shutdown of server and worker while they are busy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::{io::AsyncWriteExt, task::JoinSet};

use crate::harness::{RawConnection, SAMPLE, TestApp, expect, generated};

/// The time within which both must end, whatever is in progress.
const PATIENCE: Duration = Duration::from_secs(10);

/// Creates users for as long as the server accepts them. Returns the ids in its responses.
async fn create_users(api: String, stopped: Arc<AtomicBool>, client: usize) -> Vec<i64> {
    let http = Client::builder().no_proxy().build().unwrap();
    let mut created = Vec::new();
    for number in 0.. {
        let user = json!({"name": "Ann", "email": format!("{client}-{number}@example.com")});
        let answer = http.post(format!("{api}/users")).json(&user).send().await;
        match answer {
            Ok(answer) => {
                let user = expect(answer, StatusCode::CREATED).await;
                created.push(user["id"].as_i64().unwrap());
            }
            // It accepts no more connections.
            Err(error) => {
                assert!(stopped.load(Ordering::Relaxed), "{error}");
                break;
            }
        }
    }
    created
}

#[tokio::test]
async fn server_and_worker_end_within_ten_seconds_and_lose_nothing() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let finished = app.process(generated(300_000).0).await;
    // Holds up the commit of verdicts, which continues beyond the end of their worker.
    let held = app
        .hold(
            "after update on job_chunks for each row when (new.rows > 1000)",
            "true",
        )
        .await;
    let (file, [valid, invalid, _]) = generated(400_000);
    let running = app.upload(user_id, file).await;
    app.begin(running).await;
    app.waiting("advisory", 1).await;

    let host = app.api.strip_prefix("http://").unwrap();
    // A download that nobody reads, a stalled upload, and an upload in progress.
    let mut download = RawConnection::open(&app.api).await;
    let path = format!("/jobs/{}/results.csv", finished["id"]);
    download
        .send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
        .await;
    let _stalled = app.begin_upload(user_id).await;
    let mut upload = RawConnection::open(&app.api).await;
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"last.csv\"\r\n\r\n{SAMPLE}\r\n--x--\r\n"
    );
    let (first, rest) = form.split_at(form.len() / 2);
    upload
        .send(format!(
            "POST /jobs?user_id={user_id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\
             Content-Type: multipart/form-data; boundary=x\r\n\r\n{first}",
            form.len()
        ))
        .await;
    let mut socket = app.socket(user_id).await;
    let stopped = Arc::new(AtomicBool::new(false));
    let mut clients: JoinSet<Vec<i64>> = (0..4)
        .map(|client| create_users(app.api.clone(), stopped.clone(), client))
        .collect();
    crate::harness::eventually("requests under way", async || {
        let users: i64 = sqlx::query_scalar("select count(*) from users")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        (users > 20).then_some(())
    })
    .await;

    stopped.store(true, Ordering::Relaxed);
    let (server, worker) = (app.end_server(), app.end_worker());
    socket.closed().await;
    upload.stream.write_all(rest.as_bytes()).await.unwrap();
    let uploaded = upload.response().await;
    assert_eq!(uploaded.status, 201, "{uploaded:?}");
    let mut created = Vec::new();
    while let Some(ids) = clients.join_next().await {
        created.extend(ids.unwrap());
    }
    for ended in [server, worker] {
        let (code, took) = ended.await.unwrap();
        assert_eq!(code, Some(0));
        assert!(took < PATIENCE, "{took:?}");
    }
    held.rollback().await.unwrap();

    let app = app.beside().await;
    let known: i64 = sqlx::query_scalar("select count(*) from users where id = any($1)")
        .bind(&created)
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(known as usize, created.len());
    let job = app.finished(running).await;
    let counts = [&job["valid_records"], &job["invalid_records"]];
    assert_eq!(counts, [&json!(valid), &json!(invalid)]);
    assert_eq!(app.downloaded_rows(running).await.0, 400_000);
    // The acknowledged upload exists, the other one doesn't.
    let jobs = app.get_json(&format!("/users/{user_id}/jobs")).await;
    let names: Vec<&str> = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["filename"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["last.csv", "payments.csv"]);
}
