//! Files that take their worker down whenever it reads them.

use crate::harness::{SAMPLE, TestApp, eventually, generated};

impl TestApp {
    /// Kills the worker while a step waits for the lock of [`TestApp::hold`], and starts another one. Ends the session of
    /// the step too, as PostgreSQL only notices after the wait that its client is gone.
    async fn lose_worker(&self) {
        self.waiting("advisory", 1).await;
        self.stop_worker();
        eventually("the end of its sessions", async || {
            let ended = sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and wait_event = 'advisory'",
            )
            .fetch_all(&self.pool)
            .await
            .unwrap();
            ended.is_empty().then_some(())
        })
        .await;
        self.restart_worker();
    }
}

/// Lets each try to read the file wait where `trigger` fires, and kills this many workers there.
async fn ends_after(workers: usize, file: impl Into<Vec<u8>>, trigger: &str, condition: &str) {
    let app = TestApp::start().await;
    let job_id = app.upload(app.user().await, file).await;
    let lock = app.hold(trigger, condition).await;
    app.begin(job_id).await;
    for _ in 0..workers {
        app.lose_worker().await;
    }
    let job = app.finished(job_id).await;
    assert_eq!(job["status"], "failed");
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("has stopped the worker twice"), "{error}");
    // Whoever finds the reason can try again.
    lock.rollback().await.unwrap();
    app.command(job_id, "retry").await;
    let job = app.finished(job_id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(
        app.downloaded_rows(job_id).await.0,
        job["total_records"].as_u64().unwrap()
    );
}

#[tokio::test]
async fn planning_that_takes_two_workers_down_ends_the_job() {
    ends_after(
        2,
        generated(50_000).0,
        "after insert on removals for each row",
        "new.storage_key like '%.ids'",
    )
    .await;
}

/// The first try isn't counted.
#[tokio::test]
async fn validation_that_takes_three_workers_down_ends_the_job() {
    let trigger = "after update on job_chunks for each row";
    ends_after(
        3,
        generated(50_000).0,
        trigger,
        "new.committed_at is not null",
    )
    .await;
}

/// The first try isn't counted, as the job has only just begun then.
#[tokio::test]
async fn a_small_file_that_takes_three_workers_down_ends_the_job() {
    let trigger = "after insert on job_chunks for each statement";
    ends_after(3, SAMPLE, trigger, "true").await;
}
