//! Files in an object store. Everything that works with a directory works with S3, even if it is slow, fails for a
//! while, or is shared by several servers and workers.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::Row;

use crate::{
    harness::{
        Fault, ObjectStore, Options, SAMPLE, TestApp, eventually, expect, generated, problem,
        transactions,
    },
    refused_uploads::waits_for,
};

/// The typical latency of an object store within one region.
const LATENCY: Duration = Duration::from_millis(20);

/// Slows a job down so that a test can act before it ends.
const HIGH_LATENCY: Duration = Duration::from_millis(100);

/// Returns the row numbers of a page, and the total number of rows.
async fn page(app: &TestApp, job: &Value, query: &str) -> (Vec<u64>, u64) {
    let path = format!("/jobs/{}/transactions?{query}", job["id"]);
    let response = app.get(&path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let total = response.headers()["x-total-count"].to_str().unwrap();
    let total = total.parse().unwrap();
    let rows: Vec<Value> = response.json().await.unwrap();
    let numbers = rows.iter().map(|row| row["row_number"].as_u64().unwrap());
    (numbers.collect(), total)
}

fn assert_exact(job: &Value, [valid, invalid, suspicious]: [u64; 3]) {
    for (field, value) in [
        ("status", json!("completed")),
        ("total_records", json!(valid + invalid)),
        ("processed_records", json!(valid + invalid)),
        ("valid_records", json!(valid)),
        ("invalid_records", json!(invalid)),
        ("suspicious_records", json!(suspicious)),
    ] {
        assert_eq!(job[field], value, "{field} of {job}");
    }
}

/// Waits until neither objects nor parts remain.
async fn emptied(store: &ObjectStore) {
    eventually("the bucket to be empty", async || {
        let is_empty = store.keys().await.is_empty() && store.uploads().await.is_empty();
        is_empty.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_an_object_store_is_processed() {
    let store = ObjectStore::start(Duration::ZERO).await;
    let app = TestApp::start_in(&store).await;
    let user_id = app.user().await;
    let rows = 150_000;
    let (file, counts) = generated(rows);
    let [valid, invalid, suspicious] = counts;
    let job_id = app.upload(user_id, file).await;
    assert_eq!(store.keys().await.len(), 1);
    let uploaded = store.take_requests();
    assert!(
        uploaded.iter().any(|request| request.starts_with("POST ")),
        "in parts: {uploaded:?}"
    );
    app.begin(job_id).await;
    let job = app.finished(job_id).await;
    assert_exact(&job, counts);

    let transactions = transactions(rows);
    let errors = transactions.expected().errors;
    let invalid_rows: Vec<u64> = (1..=rows)
        .filter(|row| transactions.error(*row).is_some())
        .collect();
    let last = invalid_rows.len() - 50;
    for (query, numbers, total) in [
        ("size=3", vec![1, 2, 3], rows),
        ("page=50000&size=3", (rows - 2..=rows).collect(), rows),
        ("row=77&size=1", vec![77], rows),
        ("filter=valid&size=20", (1..20).chain([21]).collect(), valid),
        ("filter=invalid&size=50", invalid_rows[..50].into(), invalid),
        (
            "filter=invalid&size=50&page=150",
            invalid_rows[last..].into(),
            invalid,
        ),
        (
            "filter=suspicious&size=2&page=2",
            vec![251, 351],
            suspicious,
        ),
        (
            "filter=amount.not_a_number&size=2",
            vec![200, 400],
            errors["amount.not_a_number"],
        ),
        ("q=TXN00000077", vec![77], 1),
        (
            "q=Monthly%20SUB&size=2&page=75000",
            vec![rows - 1, rows],
            rows,
        ),
        ("q=nothing", vec![], 0),
    ] {
        assert_eq!(page(&app, &job, query).await, (numbers, total), "{query}");
    }
    let report = app.get_json(&format!("/jobs/{job_id}/report")).await;
    assert_eq!(report["problems"], json!(errors));

    let download = async |query: &str| {
        let response = app.get(&format!("/jobs/{job_id}/results.csv{query}")).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    };
    let all = download("").await;
    assert_eq!(all.lines().count() as u64, rows + 1);
    let Row { amount, date, .. } = transactions.row(1);
    let first = format!("TXN00000001,{amount},{date},Monthly subscription,1,2,true,false,,");
    assert_eq!(all.lines().nth(1), Some(&*first));
    let Row { date, .. } = transactions.row(rows);
    let last = format!("TXN00150000,n/a,{date},Monthly subscription,150000,150001,false,false,");
    assert!(all.lines().last().unwrap().starts_with(&last));
    let only_invalid = download("?filter=invalid").await;
    assert_eq!(only_invalid.lines().count() as u64, invalid + 1);
    let Row { amount, .. } = transactions.row(20);
    let first = format!(
        "TXN00000020,{amount},yesterday,Monthly subscription,20,21,false,false,date.not_a_date,"
    );
    assert!(only_invalid.lines().nth(1).unwrap().starts_with(&first));

    let small = app.process(SAMPLE).await;
    assert_exact(&small, [4, 0, 1]);
    for job in [job, small] {
        let response = app.delete(&format!("/jobs/{}", job["id"])).await;
        expect(response, StatusCode::NO_CONTENT).await;
    }
    emptied(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_no_parts() {
    let store = ObjectStore::start(Duration::ZERO).await;
    let app = TestApp::start_in(&store).await;
    let user_id = app.user().await;
    let upload = app.begin_upload(user_id).await;
    eventually("the upload to be begun", async || {
        (!store.uploads().await.is_empty()).then_some(())
    })
    .await;
    drop(upload);
    emptied(&store).await;
    assert_eq!(
        app.get_json(&format!("/users/{user_id}/jobs")).await,
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_full_store_leaves_no_parts() {
    let store = ObjectStore::start(Duration::ZERO).await;
    let app = TestApp::start_in(&store).await;
    let user_id = app.user().await;
    store.set(Fault::Full);
    // The client receives the response although most of the body is still unsent.
    let response = app
        .upload_response(user_id, "payments.csv", vec![b'x'; 40_000_000])
        .await;
    let detail = problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(
        detail,
        "The file storage refuses access. Tell your administrator."
    );
    emptied(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_while_its_index_is_stored_leaves_no_parts() {
    let store = ObjectStore::start(Duration::ZERO).await;
    let app = TestApp::start_in(&store).await;
    let user_id = app.user().await;
    // Its id index takes more than one part.
    let job_id = app.upload(user_id, generated(700_000).0).await;
    store.set(Fault::Stuck);
    app.begin(job_id).await;
    eventually("the index to be begun", async || {
        (!store.uploads().await.is_empty()).then_some(())
    })
    .await;
    app.command(job_id, "cancel").await;
    eventually("the parts to be removed", async || {
        store.uploads().await.is_empty().then_some(())
    })
    .await;
    let response = app.delete(&format!("/jobs/{job_id}")).await;
    expect(response, StatusCode::NO_CONTENT).await;
    emptied(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_a_store_that_fails() {
    let store = ObjectStore::start(HIGH_LATENCY).await;
    let app = TestApp::start_in(&store).await;
    let user_id = app.user().await;
    let (file, counts) = generated(600_000);
    let job_id = app.upload(user_id, file).await;
    app.begin(job_id).await;
    app.under_way(job_id).await;
    store.set(Fault::Unavailable);
    let job = app.get_json(&format!("/jobs/{job_id}")).await;
    assert!(job["processed_records"].as_u64() < Some(600_000), "{job}");

    // A person who looks at the rows meanwhile isn't kept waiting, and the response reveals nothing about the services
    // behind the API.
    let rows = format!("/jobs/{job_id}/transactions?size=50");
    let fails = async || {
        let response = app.get(&rows).await;
        let status = response.status();
        assert!(status.is_server_error(), "{status}");
        let detail = problem(response, status).await;
        for inside in ["S3", "s3:", "http", "SlowDown", "batchline-", ".csv"] {
            assert!(!detail.contains(inside), "{detail}");
        }
    };
    fails().await;
    let refused = store.refused();
    eventually("the worker to have tried again", async || {
        (store.refused() >= refused + 20).then_some(())
    })
    .await;
    waits_for(&app, job_id, "The file storage can't be reached.").await;
    store.set(Fault::None);
    assert_eq!(page(&app, &job, "size=50").await.0.len(), 50);
    let job = app.finished(job_id).await;
    assert_eq!(job["waits_for"], Value::Null, "{job}");
    assert_exact(&job, counts);

    store.set(Fault::Unavailable);
    fails().await;
    let download = format!("/jobs/{job_id}/results.csv");
    let response = app.get(&download).await;
    let is_whole = response.status() == StatusCode::OK && response.text().await.is_ok();
    assert!(!is_whole, "a download that breaks off must look like one");
    store.set(Fault::None);
    let whole = app.get(&download).await.text().await.unwrap();
    assert_eq!(whole.lines().count(), 600_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_store_that_never_responds() {
    let store = ObjectStore::start(Duration::ZERO).await;
    let app = TestApp::start_in(&store).await;
    let job = app.process(SAMPLE).await;
    let path = format!("/jobs/{}", job["id"]);
    let deleted = app.process(SAMPLE).await;
    let files = store.keys().await.len();
    store.set(Fault::Silent);
    let began = Instant::now();
    let refused = async |path: String| {
        let detail = problem(app.get(&path).await, StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(
            detail,
            "The file storage can't be reached. Try again in a moment."
        );
    };
    let ((), (), (), page) = tokio::join!(
        refused(format!("{path}/transactions")),
        refused(format!("{path}/results.csv")),
        refused(format!("{path}/results.xlsx")),
        app.page(&path),
    );
    // The verdict stays.
    assert!(page.contains("Completed"), "{page}");
    let page = page.replace("&#x27;", "'");
    assert!(page.contains("The file storage can't be reached"), "{page}");
    // The timeout is 10 s.
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );

    // No transaction waits for the removal of files.
    let deletion = app.delete(&format!("/jobs/{}", deleted["id"])).await;
    expect(deletion, StatusCode::NO_CONTENT).await;
    eventually("a removal to begin", async || {
        sqlx::query_scalar::<_, i64>(
            "select id from removals where storage_key is not null and due_at > now() for update skip locked",
        )
        .fetch_optional(&app.pool)
        .await
        .unwrap()
    })
    .await;
    store.set(Fault::None);
    assert_eq!(app.downloaded_rows(job["id"].as_i64().unwrap()).await.0, 4);
    // Those that fail are repeated a minute later.
    eventually("the files to be removed", async || {
        sqlx::query("update removals set due_at = now()")
            .execute(&app.pool)
            .await
            .unwrap();
        (store.keys().await.len() < files).then_some(())
    })
    .await;
}

/// With a constant latency, the number of requests determines how long a person waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_long_file_takes_a_handful_of_requests() {
    let store = ObjectStore::start(LATENCY).await;
    let app = TestApp::start_in(&store).await;
    let (file, counts) = generated(450_000);
    assert!(file.len() > 20_000_000);
    let job = app.process(file).await;
    assert_exact(&job, counts);
    for (query, numbers, most) in [
        ("page=9000&size=50", 449_951..=450_000, 4),
        // Every 20th row is invalid.
        ("filter=invalid&page=450&size=50", 449_020..=450_000, 4),
        ("q=TXN00449999", 449_999..=449_999, 6),
    ] {
        store.take_requests();
        let (found, _) = page(&app, &job, query).await;
        let requests = store.take_requests();
        println!("{query} took {} requests: {requests:?}", requests.len());
        assert_eq!(
            (found.first(), found.last()),
            (Some(numbers.start()), Some(numbers.end())),
            "{query}"
        );
        assert!(
            (1..=most).contains(&requests.len()),
            "{query}: {requests:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_workers_share_a_job() {
    let store = ObjectStore::start(HIGH_LATENCY).await;
    let mut environment = store.environment();
    // Each worker runs one step at a time, so that both get some and the job takes long enough.
    environment.push(("WORKER_CONCURRENCY", "1".to_owned()));
    let first = TestApp::start_with(Options {
        environment,
        ..Options::default()
    })
    .await;
    let second = first.beside().await;
    let user_id = first.user().await;
    let (file, counts) = generated(1_000_000);
    let job_id = first.upload(user_id, file).await;
    let mut socket = second.socket(user_id).await;
    let watched = tokio::spawn(async move { socket.until_finished(job_id).await });
    first.begin(job_id).await;

    eventually("both workers to take part", async || {
        let shares = [first.worker_metrics().await, second.worker_metrics().await];
        let take_part = |metrics: &String| {
            let chunks = metrics
                .lines()
                .find_map(|line| line.strip_prefix("batchline_chunks "));
            chunks.is_some_and(|chunks| chunks != "0")
        };
        shares.iter().all(take_part).then_some(())
    })
    .await;
    first.stop_worker();
    first.stop_server();

    let messages = watched.await.unwrap();
    let processed: Vec<u64> = messages
        .iter()
        .map(|message| message["processed_records"].as_u64().unwrap())
        .collect();
    assert!(processed.is_sorted(), "{processed:?}");
    let between = |processed: &u64| (1..1_000_000).contains(processed);
    assert!(processed.iter().any(between), "{processed:?}");
    let last = messages.last().unwrap();
    assert_eq!(
        (&last["status"], &last["processed_records"]),
        (&json!("completed"), &json!(1_000_000))
    );
    let job = second.get_json(&format!("/jobs/{job_id}")).await;
    assert_exact(&job, counts);
}
