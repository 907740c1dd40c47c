//! Commands to jobs: pause, resume, cancel, retry.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{SAMPLE, TestApp, eventually, expect, generated, problem};

impl TestApp {
    pub async fn command(&self, job_id: i64, command: &str) -> Value {
        let response = self.post(&format!("/jobs/{job_id}/{command}")).await;
        expect(response, StatusCode::ACCEPTED).await
    }

    /// Sends a command several times at once. Exactly one of them carries it out and says so.
    async fn at_once(&self, job_id: i64, command: &str, done: &str) {
        let answers = join_all((0..20).map(|_| self.command(job_id, command))).await;
        let (first, repeated): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer["message"] == done);
        assert_eq!(first.len(), 1, "{command}: {answers:?}");
        for answer in repeated {
            let message = answer["message"].as_str().unwrap();
            assert!(message.starts_with("already "), "{command}: {answer}");
        }
    }

    /// Returns the kinds of the audit's events about this job, oldest first.
    async fn audited(&self, job_id: i64) -> Vec<String> {
        sqlx::query_scalar("select kind from audit_events where job_id = $1 order by id")
            .bind(job_id)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    async fn refused(&self, job_id: i64, command: &str) -> String {
        let response = self.post(&format!("/jobs/{job_id}/{command}")).await;
        problem(response, StatusCode::CONFLICT).await
    }
}

#[tokio::test]
async fn a_paused_job_stops_and_can_be_resumed() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let (file, [valid, invalid, suspicious]) = generated(600_000);
    let job_id = app.upload(user_id, file).await;
    app.slow_down().await;
    app.begin(job_id).await;
    app.under_way(job_id).await;

    app.at_once(job_id, "pause", "paused").await;
    let path = format!("/jobs/{job_id}");
    let then = app.get_json(&path).await;
    assert!(then["processed_records"].as_u64() < then["total_records"].as_u64());
    // A repeated command changes nothing.
    assert_eq!(
        app.command(job_id, "pause").await["message"],
        "already paused"
    );
    // A worker that starts while the job is paused doesn't touch it.
    app.restart_worker();
    // Processing another job leaves enough time for a late chunk to appear.
    let other = app.upload(user_id, SAMPLE).await;
    app.begin(other).await;
    assert_eq!(app.finished(other).await["status"], "completed");
    assert_eq!(app.get_json(&path).await, then);

    let mut socket = app.socket(user_id).await;
    assert_eq!(socket.json().await["status"], "paused");
    app.at_once(job_id, "resume", "resumed").await;
    let job = app.finished(job_id).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(
        [
            &job["valid_records"],
            &job["invalid_records"],
            &job["suspicious_records"]
        ],
        [&json!(valid), &json!(invalid), &json!(suspicious)]
    );
    assert_eq!(
        socket.until_finished(job_id).await.last().unwrap()["processed_records"],
        600_000
    );
    assert_eq!(app.downloaded_rows(job_id).await.0, 600_000);
    let events = app.audited(job_id).await;
    assert_eq!(events, ["upload", "start", "pause", "resume", "download"]);
}

#[tokio::test]
async fn a_cancelled_job_keeps_its_rows_and_can_be_retried() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let (file, [valid, ..]) = generated(600_000);
    let job_id = app.upload(user_id, file).await;
    app.slow_down().await;
    app.begin(job_id).await;
    app.under_way(job_id).await;

    app.at_once(job_id, "cancel", "cancelled").await;
    let path = format!("/jobs/{job_id}");
    let cancelled = app.get_json(&path).await;
    let done = cancelled["processed_records"].as_u64().unwrap();
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["finished_at"].is_string());
    assert!(done > 0 && done < 600_000);
    assert_eq!(app.listed_rows(job_id).await, done);
    let first = app.get_json(&format!("{path}/transactions?size=1")).await;
    assert_eq!(
        first[0]["row_number"].as_i64().map(|row| row > 0),
        Some(true)
    );

    app.at_once(job_id, "retry", "started").await;
    assert_eq!(
        app.audited(job_id).await,
        ["upload", "start", "cancel", "retry"]
    );
    let job = app.finished(job_id).await;
    assert_eq!(
        (
            &job["status"],
            &job["valid_records"],
            &job["processed_records"]
        ),
        (&json!("completed"), &json!(valid), &json!(600_000))
    );
    assert_eq!(app.downloaded_rows(job_id).await.0, 600_000);
    // The rows of the first attempt are removed.
    eventually("the old rows to be removed", async || {
        let rows: i64 = sqlx::query_scalar("select sum(rows)::bigint from job_chunks")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        (rows == 600_000).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_of_many_starts_starts_the_job() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    // A small file, whose workflow is often faster than the response, and one with a workflow of its own.
    for file in [SAMPLE.to_owned(), generated(50_000).0] {
        let job_id = app.upload(user_id, file).await;
        app.at_once(job_id, "start", "started").await;
        let job = app.finished(job_id).await;
        assert_eq!(
            (&job["status"], &job["run"]),
            (&json!("completed"), &json!(1))
        );
        assert_eq!(app.audited(job_id).await, ["upload", "start"]);
    }
}

#[tokio::test]
async fn commands_that_the_state_forbids_are_refused_with_a_sentence() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    for command in ["pause", "resume", "cancel", "retry"] {
        let detail = app.refused(job_id, command).await;
        assert!(detail.ends_with("this one is pending."), "{detail}");
    }
    app.begin(job_id).await;
    let job = app.finished(job_id).await;
    for command in ["pause", "resume", "cancel", "retry"] {
        let detail = app.refused(job_id, command).await;
        assert!(detail.ends_with("this one is completed."), "{detail}");
    }
    assert_eq!(app.get_json(&format!("/jobs/{job_id}")).await, job);

    let failed = app.process("nothing,of,use\n").await;
    let failed_id = failed["id"].as_i64().unwrap();
    let detail = app.refused(failed_id, "start").await;
    assert_eq!(
        detail,
        "Only a pending job can be started; this one is failed."
    );
    // It fails again for the same reason.
    app.command(failed_id, "retry").await;
    let again = app.finished(failed_id).await;
    assert_eq!(
        (&again["status"], &again["error"], &again["run"]),
        (&json!("failed"), &failed["error"], &json!(2))
    );
    let response = app.post("/jobs/0/pause").await;
    assert_eq!(
        problem(response, StatusCode::NOT_FOUND).await,
        "Job not found"
    );
}

#[tokio::test]
async fn a_job_whose_workflow_was_terminated_fails_and_can_be_retried() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    // Terminated as by Temporal's pages or command line, without notifying Batchline.
    app.stop_worker();
    let (file, [valid, ..]) = generated(50_000);
    let job_id = app.upload(user_id, file).await;
    app.begin(job_id).await;
    app.terminate_workflow(&format!("job-{job_id}-run-1"));
    // As if the clock had been set back since. That must not hide the job until the clock has caught up.
    sqlx::query("update jobs set updated_at = clock_timestamp() + interval '1 hour'")
        .execute(&app.pool)
        .await
        .unwrap();
    app.restart_worker();
    let job = app.finished(job_id).await;
    assert_eq!(job["status"], "failed");
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("was terminated from outside"), "{error}");

    app.command(job_id, "retry").await;
    let job = app.finished(job_id).await;
    assert_eq!(
        (&job["status"], &job["valid_records"], &job["error"]),
        (&json!("completed"), &json!(valid), &Value::Null)
    );
}

#[tokio::test]
async fn the_history_of_a_workflow_is_kept_and_replayed() {
    let app = TestApp::start().await;
    let (file, _) = generated(60_000);
    let job = app.process(file).await;
    let history = app.worker_output(&["history", &format!("job-{}-run-1", job["id"])]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("history.json");
    std::fs::write(&file, history).unwrap();
    let said = app.worker_output(&["replay", file.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&said).contains("history.json: continues"));
}

#[tokio::test]
async fn a_command_on_a_completed_job_says_so() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    assert_eq!(app.command(job_id, "start").await["message"], "started");
    assert_eq!(app.finished(job_id).await["status"], "completed");
    assert_eq!(
        app.command(job_id, "start").await["message"],
        "already completed"
    );
    // A format that comes too late is refused rather than ignored.
    let late = json!({ "format": { "decimal": "," } });
    let late = app.post_json(&format!("/jobs/{job_id}/start"), &late).await;
    let detail = problem(late, StatusCode::CONFLICT).await;
    assert!(detail.contains("the job is completed"), "{detail}");
}

#[tokio::test]
async fn a_start_with_a_saved_format_can_be_repeated() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let formats = format!("/users/{user_id}/formats");
    for name in ["mine", "other"] {
        let new = json!({ "name": name, "header": null, "format": { "decimal": "." } });
        expect(app.post_json(&formats, &new).await, StatusCode::CREATED).await;
    }
    let job_id = app.upload(user_id, SAMPLE).await;
    let start = format!("/jobs/{job_id}/start");
    let mine = json!({ "format_name": "mine" });
    let answers = join_all((0..5).map(|_| app.post_json(&start, &mine))).await;
    for answer in answers {
        expect(answer, StatusCode::ACCEPTED).await;
    }
    assert_eq!(app.finished(job_id).await["status"], "completed");
    expect(app.post_json(&start, &mine).await, StatusCode::ACCEPTED).await;
    let other = json!({ "format_name": "other" });
    problem(app.post_json(&start, &other).await, StatusCode::CONFLICT).await;
}
