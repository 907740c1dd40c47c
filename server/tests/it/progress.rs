//! Live progress, and the worker's metrics.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{
    CuttingProxy, Options, Protocol, SAMPLE, TestApp, address_of, eventually, generated, problem,
    required,
};

/// An installation that reaches PostgreSQL through a proxy.
async fn behind_proxy() -> (TestApp, CuttingProxy) {
    let service = address_of(&required("DATABASE_URL"));
    let postgres = CuttingProxy::start(Protocol::Postgres, service).await;
    let app = TestApp::start_with(Options {
        postgres_proxy: Some(postgres.address),
        ..Options::default()
    })
    .await;
    (app, postgres)
}

/// Makes sessions that begin from now on run these PL/pgSQL statements before each `NOTIFY`. `changes_data` tells
/// whether its transaction has changed data.
async fn before_notify(app: &TestApp, statements: &str) {
    // Sessions find this function before PostgreSQL's own.
    sqlx::raw_sql(&format!(
        "create function public.pg_notify(channel text, message text) returns void language plpgsql as $$
             declare
                 changes_data constant boolean := pg_current_xact_id_if_assigned() is not null;
             begin
                 {statements}
                 perform pg_catalog.pg_notify(channel, message);
             end $$;
         do $$ begin
             execute format('alter database %I set search_path = public, pg_catalog', current_database());
         end $$"
    ))
    .execute(&app.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_million_rows_are_counted_exactly_and_progress_never_goes_back() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let (file, [valid, invalid, suspicious]) = generated(1_000_000);
    let job_id = app.upload(user_id, file).await;
    let mut watched = app.socket(user_id).await;
    app.begin(job_id).await;
    let messages = watched.until_finished(job_id).await;

    let last = messages.last().unwrap();
    let counts = |of: &Value| {
        [
            "processed_records",
            "valid_records",
            "invalid_records",
            "suspicious_records",
        ]
        .map(|field| of[field].as_u64().unwrap())
    };
    assert_eq!(last["status"], "completed");
    assert_eq!(counts(last), [1_000_000, valid, invalid, suspicious]);
    assert_eq!(last["progress_percent"], 100.0);
    assert_eq!(last["batch_completed"], last["total_batches"]);

    // About ten per second.
    assert!(messages.len() > 3, "{} messages", messages.len());
    for pair in messages.windows(2) {
        let (before, after) = (counts(&pair[0]), counts(&pair[1]));
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before <= after)
        );
        assert!(pair[0]["version"].as_u64() < pair[1]["version"].as_u64());
        assert!(pair[0]["progress_percent"].as_f64() <= pair[1]["progress_percent"].as_f64());
    }
    for message in &messages {
        let [processed, valid, invalid, _] = counts(message);
        assert_eq!(processed, valid + invalid);
        assert_eq!(message["type"], "job_progress");
        if processed > 0 {
            assert!(message["rows_per_second"].as_f64().unwrap() > 0.0);
        }
    }

    // Counts the downloaded rows independently.
    assert_eq!(
        app.downloaded_rows(job_id).await,
        (1_000_000, valid, suspicious)
    );
    let end = app
        .get_json(&format!("/jobs/{job_id}/transactions?page=20000&size=50"))
        .await;
    assert_eq!(end[49]["row_number"], 1_000_000);
}

#[tokio::test]
async fn sockets_agree_answer_pings_and_send_only_their_users_jobs() {
    let app = TestApp::start().await;
    let (user_id, other_id) = (app.user().await, app.user().await);
    let (mut first, mut second) = (app.socket(user_id).await, app.socket(user_id).await);
    let mut other = app.socket(other_id).await;
    first.send("ping").await;
    assert_eq!(first.text().await, "pong");

    let job_id = app.upload(user_id, SAMPLE).await;
    app.begin(job_id).await;
    let (first, second) = (
        first.until_finished(job_id).await,
        second.until_finished(job_id).await,
    );
    assert_eq!(first, second);
    other.send("ping").await;
    assert_eq!(other.text().await, "pong", "and nothing before it");

    let nobody = app.get(&format!("/ws/{}", other_id + 1)).await;
    assert_eq!(
        problem(nobody, StatusCode::NOT_FOUND).await,
        "User not found"
    );
    let no_socket = app.get(&format!("/ws/{user_id}")).await;
    assert_eq!(no_socket.headers()["upgrade"], "websocket");
    problem(no_socket, StatusCode::UPGRADE_REQUIRED).await;
}

#[tokio::test]
async fn a_new_socket_first_sends_the_current_state() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, generated(1_000_000).0).await;
    app.slow_down().await;
    app.begin(job_id).await;
    app.under_way(job_id).await;
    let first = app.socket(user_id).await.json().await;
    assert_eq!(
        (&first["job_id"], &first["status"]),
        (&json!(job_id), &json!("processing"))
    );
    assert!(first["processed_records"].as_u64() > Some(0));
    app.finished(job_id).await;
}

#[tokio::test]
async fn a_lost_listener_loses_no_final_state() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, generated(300_000).0).await;
    let mut socket = app.socket(user_id).await;
    app.begin(job_id).await;
    let first = socket.json().await;
    assert_eq!(first["job_id"], job_id);
    // All sessions that listen, which are those of the server.
    let ended: i64 = sqlx::query_scalar(
        "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and query ilike 'listen%'",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert_eq!(ended, 1);
    let last = socket.until_finished(job_id).await.pop().unwrap();
    assert_eq!(
        (&last["status"], &last["processed_records"]),
        (&json!("completed"), &json!(300_000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_a_firewall_has_forgotten_are_replaced() {
    let (app, postgres) = behind_proxy().await;
    let user_id = app.user().await;
    let mut socket = app.socket(user_id).await;
    let job_id = app.upload(user_id, SAMPLE).await;
    assert_eq!(socket.json().await["job_id"], job_id);
    postgres.forget_connections();
    // Only requests that already had a connection could fail.
    let upload = app.upload_response(user_id, "a.csv", SAMPLE.into());
    assert_eq!(upload.await.status(), StatusCode::CREATED);
    // The listener finds out by itself, although nothing ever arrives on its connection. It has missed that upload.
    assert_eq!(socket.json().await, json!({"type": "jobs_changed"}));
    app.begin(job_id).await;
    let last = socket.until_finished(job_id).await.pop().unwrap();
    assert_eq!(last["status"], "completed");
}

#[tokio::test]
async fn the_worker_has_metrics() {
    let app = TestApp::start().await;
    let (file, [valid, invalid, _]) = generated(1_000);
    let job = app.process(file).await;
    assert_eq!(job["status"], "completed");
    let lines = [
        format!("batchline_rows{{verdict=\"valid\"}} {valid}"),
        format!("batchline_rows{{verdict=\"invalid\"}} {invalid}"),
        "batchline_chunks 1".to_owned(),
        "batchline_step_seconds_count{outcome=\"success\",step=\"process\"} 1".to_owned(),
    ];
    // The job is done before its step has ended.
    let metrics = eventually("the worker's metrics", async || {
        let metrics = app.worker_metrics().await;
        let has_all = lines.iter().all(|line| metrics.contains(line));
        has_all.then_some(metrics)
    })
    .await;
    // The SDK's metrics are included.
    assert!(metrics.contains("temporal_"));
}

/// Each commit with a `NOTIFY` takes a lock on the whole database until it has reached the disk.
#[tokio::test]
async fn only_the_start_and_end_of_work_notify_in_transactions_with_data() {
    let app = TestApp::start().await;
    // Counts the calls within and outside of transactions that change data.
    sqlx::raw_sql(
        "create unlogged sequence within; create unlogged sequence outside;
         grant usage on sequence within, outside to public",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    let count =
        "perform case when changes_data then nextval('within') else nextval('outside') end;";
    before_notify(&app, count).await;
    // Sessions that were there before don't find it.
    let counted = app.beside().await;
    app.stop_worker();
    app.stop_server();
    let app = counted;
    let user_id = app.user().await;
    let (small, large) = (generated(1_000).0, generated(600_000).0);
    let small = join_all((0..30).map(|_| app.upload(user_id, small.clone()))).await;
    let large = app.upload(user_id, large).await;
    app.begin(large).await;
    join_all(small.iter().map(|job_id| app.begin(*job_id))).await;
    for job_id in small {
        app.finished(job_id).await;
    }
    let job = app.finished(large).await;
    let chunks = job["total_batches"].as_i64().unwrap();
    let (within, outside): (i64, i64) = sqlx::query_as(
        "select (select case when is_called then last_value else 0 end from within),
                (select case when is_called then last_value else 0 end from outside)",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    // Each job was started, and the large one was planned and completed.
    assert!(within <= 31 + 2 && chunks > 10, "{within}, {chunks} chunks");
    // The ends of the small ones.
    assert!(outside >= 30, "{outside}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_while_progress_is_published_is_replaced() {
    let (app, postgres) = behind_proxy().await;
    let wait = "if not changes_data then perform pg_advisory_xact_lock_shared(1); end if;";
    before_notify(&app, wait).await;
    app.restart_worker();
    let user_id = app.user().await;
    let mut socket = app.socket(user_id).await;
    let mut jobs = [0; 2];
    for job_id in &mut jobs {
        *job_id = app.upload(user_id, SAMPLE).await;
        // The server has published it.
        assert_eq!(socket.json().await["job_id"], *job_id);
    }
    let lock = app.lock().await;
    app.begin(jobs[0]).await;
    app.waiting("advisory", 1).await;
    postgres.forget_connections();
    lock.rollback().await.unwrap();
    // The server's listener finds out by itself, and pages then read the state.
    socket.until_finished(jobs[0]).await;
    app.begin(jobs[1]).await;
    let last = socket.until_finished(jobs[1]).await.pop().unwrap();
    assert_eq!(last["status"], "completed");
}

/// The message about an upload is the only one until its job is started.
#[tokio::test]
async fn an_upload_is_published_although_the_first_try_fails() {
    let app = TestApp::start().await;
    let wait = "if not changes_data then perform pg_advisory_xact_lock_shared(1); end if;";
    before_notify(&app, wait).await;
    // Sessions that were there before don't wait.
    let waits = app.beside().await;
    app.stop_worker();
    app.stop_server();
    let app = waits;
    let user_id = app.user().await;
    let mut socket = app.socket(user_id).await;
    let lock = app.lock().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    app.waiting("advisory", 1).await;
    let ended: i64 = sqlx::query_scalar(
        "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and wait_event = 'advisory'",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert_eq!(ended, 1);
    lock.rollback().await.unwrap();
    assert_eq!(socket.json().await["job_id"], job_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_continue_after_a_connection_was_lost_while_one_began() {
    let (app, postgres) = behind_proxy().await;
    // It would begin the job, too.
    app.stop_worker();
    let user_id = app.user().await;
    let jobs = [
        app.upload(user_id, SAMPLE).await,
        app.upload(user_id, SAMPLE).await,
    ];
    let lock = app.hold("after update on jobs for each row", "true").await;
    let start = format!("/jobs/{}/start", jobs[0]);
    let (first, ()) = tokio::join!(app.post(&start), async {
        app.waiting("advisory", 1).await;
        postgres.forget_connections();
        lock.rollback().await.unwrap();
    });
    problem(first, StatusCode::SERVICE_UNAVAILABLE).await;
    app.begin(jobs[1]).await;
}
