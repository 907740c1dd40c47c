//! Jobs with small files. Those that start at the same moment share a workflow.

use std::collections::HashMap;

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{SAMPLE, TestApp, eventually, expect, generated, problem};

impl TestApp {
    async fn upload_many(&self, user_id: i64, count: usize) -> Vec<i64> {
        let (file, _) = generated(1_000);
        join_all((0..count).map(|_| self.upload(user_id, file.clone()))).await
    }

    async fn begin_all(&self, job_ids: &[i64]) {
        join_all(job_ids.iter().map(|job_id| self.begin(*job_id))).await;
    }

    async fn job(&self, job_id: i64) -> Value {
        self.get_json(&format!("/jobs/{job_id}")).await
    }

    /// Waits for the end of a job of [`TestApp::upload_many`]. Each of its rows must occur once.
    async fn exact(&self, job_id: i64) {
        let (_, [valid, invalid, suspicious]) = generated(1_000);
        let job = self.finished(job_id).await;
        for (field, value) in [
            ("status", json!("completed")),
            ("total_records", json!(1_000)),
            ("processed_records", json!(1_000)),
            ("valid_records", json!(valid)),
            ("invalid_records", json!(invalid)),
            ("suspicious_records", json!(suspicious)),
            ("progress_percent", json!(100.0)),
            ("batch_completed", json!(1)),
            ("total_batches", json!(1)),
            ("error", Value::Null),
        ] {
            assert_eq!(job[field], value, "{field}");
        }
        assert_eq!(self.downloaded_rows(job_id).await.0, 1_000);
    }

    async fn exact_all(&self, job_ids: &[i64]) {
        join_all(job_ids.iter().map(|job_id| self.exact(*job_id))).await;
    }

    /// Groups the jobs by the workflow that they share.
    async fn by_workflow(&self, job_ids: &[i64]) -> HashMap<String, Vec<i64>> {
        let mut groups: HashMap<String, Vec<i64>> = HashMap::new();
        for job_id in job_ids {
            let workflow_id = self.shared_workflow(*job_id).await.unwrap();
            groups.entry(workflow_id).or_default().push(*job_id);
        }
        groups
    }
}

#[tokio::test]
async fn small_jobs_that_are_started_at_once_share_workflows_and_nothing_else() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let good = app.upload_many(user_id, 20).await;
    let unreadable = app.upload(user_id, "nothing,of,use\n").await;
    let empty = app.upload(user_id, "transaction_id,amount,date\n").await;
    let deleted = app.upload(user_id, SAMPLE).await;
    let cancelled = join_all((0..10).map(|_| app.upload(user_id, SAMPLE))).await;
    let paused = join_all((0..10).map(|_| app.upload(user_id, SAMPLE))).await;
    let all = [
        &good[..],
        &[unreadable, empty, deleted],
        &cancelled,
        &paused,
    ]
    .concat();

    app.stop_worker();
    app.begin_all(&all).await;
    let groups = app.by_workflow(&all).await;
    assert!(groups.len() < all.len() / 2, "{groups:?}");
    join_all(
        cancelled
            .iter()
            .map(|job_id| app.command(*job_id, "cancel")),
    )
    .await;
    join_all(paused.iter().map(|job_id| app.command(*job_id, "pause"))).await;
    let response = app.delete(&format!("/jobs/{deleted}")).await;
    expect(response, StatusCode::NO_CONTENT).await;
    app.restart_worker();

    app.exact_all(&good).await;
    let job = app.finished(unreadable).await;
    assert_eq!(job["status"], "failed");
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("transaction_id"), "{error}");
    let job = app.finished(empty).await;
    assert_eq!(
        (&job["status"], &job["total_records"], &job["total_batches"]),
        (&json!("completed"), &json!(0), &json!(0))
    );
    for (job_ids, status) in [(&cancelled, "cancelled"), (&paused, "paused")] {
        for job_id in job_ids {
            let job = app.job(*job_id).await;
            assert_eq!(
                (&job["status"], &job["processed_records"]),
                (&json!(status), &json!(0))
            );
            assert_eq!(app.listed_rows(*job_id).await, 0);
        }
    }
    let response = app.get(&format!("/jobs/{deleted}")).await;
    problem(response, StatusCode::NOT_FOUND).await;

    // The worker may finish one before the server has begun the rest of its group.
    let retried = join_all(cancelled.iter().map(|job_id| app.command(*job_id, "retry")));
    let resumed = join_all(paused.iter().map(|job_id| app.command(*job_id, "resume")));
    tokio::join!(retried, resumed);
    for job_id in [cancelled, paused].concat() {
        let job = app.finished(job_id).await;
        assert_eq!(
            (&job["status"], &job["valid_records"], &job["run"]),
            (&json!("completed"), &json!(4), &json!(3))
        );
        assert_eq!(app.downloaded_rows(job_id).await.0, 4);
    }
}

#[tokio::test]
async fn a_terminated_shared_workflow_fails_only_its_own_jobs() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_ids = app.upload_many(user_id, 10).await;
    app.stop_worker();
    app.begin_all(&job_ids).await;
    let groups = app.by_workflow(&job_ids).await;
    let (workflow_id, ended) = groups.iter().max_by_key(|(_, jobs)| jobs.len()).unwrap();
    assert!(ended.len() > 1, "{groups:?}");
    app.terminate_workflow(workflow_id);
    app.restart_worker();
    for job_id in &job_ids {
        if !ended.contains(job_id) {
            app.exact(*job_id).await;
            continue;
        }
        let job = app.finished(*job_id).await;
        assert_eq!(job["status"], "failed");
        let error = job["error"].as_str().unwrap();
        assert!(error.contains("was terminated from outside"), "{error}");
    }
    join_all(ended.iter().map(|job_id| app.command(*job_id, "retry"))).await;
    app.exact_all(ended).await;
}

#[tokio::test]
async fn a_worker_that_dies_amidst_small_jobs_leaves_each_row_once() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    // After the first few jobs, a transaction waits for this lock just before its commit, with all its rows.
    let lock = app
        .hold(
            "after insert on job_chunks for each statement",
            "(select count(*) from jobs where status = 'completed') >= 3",
        )
        .await;
    let job_ids = app.upload_many(user_id, 20).await;
    app.begin_all(&job_ids).await;
    app.waiting("advisory", 2).await;
    app.stop_worker();
    let then = join_all(job_ids.iter().map(|job_id| app.job(*job_id))).await;
    lock.rollback().await.unwrap();
    app.restart_worker();
    app.exact_all(&job_ids).await;
    // Committed jobs aren't processed again.
    let committed: Vec<&Value> = then
        .iter()
        .filter(|job| job["status"] == "completed")
        .collect();
    assert!((1..20).contains(&committed.len()), "{committed:?}");
    for job in committed {
        assert_eq!(&app.job(job["id"].as_i64().unwrap()).await, job);
    }
}

#[tokio::test]
async fn disconnecting_clients_do_not_affect_other_starts() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_ids = app.upload_many(user_id, 10).await;
    let (patient, impatient) = job_ids.split_last().unwrap();
    // Its group can't begin while its row is locked.
    let mut lock = app.pool.begin().await.unwrap();
    sqlx::query("select from jobs where id = $1 for update")
        .bind(patient)
        .execute(&mut *lock)
        .await
        .unwrap();
    let started = app.begin(*patient);
    tokio::pin!(started);
    tokio::select! {
        _ = &mut started => unreachable!("its row is locked"),
        () = async {
            tokio::select! {
                () = app.begin_all(impatient) => {}
                () = app.waiting("transactionid", 1) => {}
            }
        } => {}
    }
    lock.rollback().await.unwrap();
    started.await;
    app.exact(*patient).await;
}

#[tokio::test]
async fn a_start_whose_server_dies_is_carried_out_or_has_changed_nothing() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_ids = app.upload_many(user_id, 5).await;
    app.stop_worker();
    // Temporal has the workflow of the first job, which can't begin while its row is locked.
    let mut lock = app.pool.begin().await.unwrap();
    sqlx::query("select from jobs where id = $1 for update")
        .bind(job_ids[0])
        .execute(&mut *lock)
        .await
        .unwrap();
    tokio::select! {
        _ = app.begin_all(&job_ids) => unreachable!("a row is locked"),
        () = app.waiting("transactionid", 1) => {}
    }
    app.stop_server();
    lock.rollback().await.unwrap();
    app.restart_worker();
    eventually("what Temporal has taken to be completed", async || {
        // The locked job comes first: they weren't stored in the order of their ids.
        let states: Vec<(String, i32, bool)> = sqlx::query_as(
            "select status, run, shared_workflow_id is not null from jobs order by id <> $1",
        )
        .bind(job_ids[0])
        .fetch_all(&app.pool)
        .await
        .unwrap();
        let done = ("completed".to_owned(), 1, true);
        let untouched = ("pending".to_owned(), 0, false);
        let over = states
            .iter()
            .all(|state| [&done, &untouched].contains(&state));
        (over && states[0] == done).then_some(())
    })
    .await;
}

/// The default timeout of a local activity in Temporal's SDK is 100 s.
#[tokio::test]
async fn a_small_job_waits_for_the_database_as_long_as_it_takes() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let lock = app
        .hold("after insert on job_chunks for each statement", "true")
        .await;
    let job_id = app.upload_many(user_id, 1).await[0];
    app.begin(job_id).await;
    eventually("the SDK's limit", async || {
        let is_over: bool = sqlx::query_scalar(
            "select clock_timestamp() - started_at > '102 s' from jobs where id = $1",
        )
        .bind(job_id)
        .fetch_one(&app.pool)
        .await
        .unwrap();
        is_over.then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    app.exact(job_id).await;
}
