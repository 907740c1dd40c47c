//! Restoring a backup, which is a dump of the database and a later copy of the files.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{ObjectStore, SAMPLE, TestApp, eventually, expect, problem};

/// Runs `server check-storage` and returns its output.
fn check_storage(app: &TestApp, arguments: &[&str]) -> String {
    let output = app.server_program(&[&["check-storage"], arguments].concat(), &[], "");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn key_of(app: &TestApp, job_id: i64) -> String {
    sqlx::query_scalar("select storage_key from jobs where id = $1")
        .bind(job_id)
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_database_and_later_files_are_restored() {
    let app = TestApp::start().await;
    // The npm build of PostgreSQL lacks client programs.
    let programs: String =
        sqlx::query_scalar("select setting from pg_config where name = 'BINDIR'")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    let pg_dump = Path::new(&programs).join("pg_dump");
    if !pg_dump.exists() {
        return;
    }
    let user_id = app.user().await;
    let whole = app.process_for(user_id, SAMPLE).await;
    let lost = app.process_for(user_id, SAMPLE).await;
    let lost_pending = app.upload(user_id, SAMPLE).await;
    let dump = app.dump(&pg_dump);
    // The files are copied later, when two are deleted and one is new.
    let paths = [lost, lost_pending].map(|job_id| format!("/jobs/{job_id}"));
    for path in &paths {
        expect(app.delete(path).await, StatusCode::NO_CONTENT).await;
    }
    eventually("the files to be removed", async || {
        (app.stored_files().len() == 1).then_some(())
    })
    .await;
    let late = app.upload(user_id, SAMPLE).await;
    let orphan = key_of(&app, late).await;
    let restored = app.restored(&programs, &dump).await;

    // The dump doesn't restore who may delete old events.
    let may_delete: (bool, bool) = sqlx::query_as(
        "select has_function_privilege('public', oid, 'execute'), has_function_privilege('batchline', oid, 'execute')
         from pg_proc where proname = 'delete_audit_events'",
    )
    .fetch_one(&restored.pool)
    .await
    .unwrap();
    assert_eq!(may_delete, (false, true));

    // The counts of jobs and usage in the database are consistent.
    let response = restored.get(&format!("/jobs?user_id={user_id}")).await;
    assert_eq!(response.headers()["x-total-count"], "3");
    let quotas = restored.get_json(&format!("/users/{user_id}/quotas")).await;
    assert_eq!(quotas["jobs"]["used"], 3);
    assert_eq!(quotas["bytes"]["used"], 3 * SAMPLE.len());
    assert_eq!(restored.downloaded_rows(whole).await, (4, 4, 1));

    // A missing file is reported as such, not as an internal error.
    let said = "The job's file is no longer in the storage";
    for path in [
        format!("/jobs/{lost}/transactions"),
        format!("/jobs/{lost}/results.csv"),
        format!("/jobs/{lost}/results.xlsx"),
    ] {
        let sentence = problem(restored.get(&path).await, StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(sentence.starts_with(said), "{path}: {sentence}");
    }
    let page = restored.page_response(&format!("/jobs/{lost}")).await;
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.text()
            .await
            .unwrap()
            .contains("no longer in the storage")
    );
    restored.begin(lost_pending).await;
    let job = restored.finished(lost_pending).await;
    assert_eq!(job["status"], "failed");
    let sentence = "The uploaded file is no longer in the storage. Upload it again.";
    assert_eq!(job["error"], sentence);

    // Finds the orphaned file once it is old enough, and the jobs without a file.
    let uploading = restored.begin_upload(user_id).await;
    eventually("the upload to begin", async || {
        (restored.stored_files().len() == 3).then_some(())
    })
    .await;
    restored.age_files(SystemTime::now() - Duration::from_secs(25 * 3600));
    let young = check_storage(&restored, &["--min-age-hours", "48"]);
    assert!(
        young.contains("Every file belongs to something."),
        "{young}"
    );
    let found = check_storage(&restored, &[]);
    let expected = format!("belongs to nothing: {orphan}, ");
    assert!(found.contains(&expected), "{found}");
    assert_eq!(found.matches("belongs to nothing").count(), 1, "{found}");
    for job_id in [lost, lost_pending] {
        let expected = format!("of job {job_id}\n");
        assert!(found.contains(&expected), "{found}");
    }
    assert!(found.contains("2 files of jobs missing"), "{found}");
    assert_eq!(restored.stored_files().len(), 3, "nothing is removed yet");
    let removed = check_storage(&restored, &["--remove"]);
    assert!(
        removed.contains("1 file that belonged to nothing"),
        "{removed}"
    );
    // The upload in progress keeps its file.
    assert_eq!(restored.stored_files().len(), 2);
    assert_eq!(restored.downloaded_rows(whole).await, (4, 4, 1));
    drop(uploading);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_compared_with_the_database() {
    let store = ObjectStore::start(Duration::ZERO).await;
    let app = TestApp::start_in(&store).await;
    let user_id = app.user().await;
    let whole = app.process_for(user_id, SAMPLE).await;
    let lost = app.process_for(user_id, SAMPLE).await;
    // Acts as if the file had been renamed: one file is missing, and the other belongs to nothing.
    let orphan = key_of(&app, lost).await;
    sqlx::query("update jobs set storage_key = gen_random_uuid() || '.csv' where id = $1")
        .bind(lost)
        .execute(&app.pool)
        .await
        .unwrap();
    let found = check_storage(&app, &["--min-age-hours", "0"]);
    let expected = format!("belongs to nothing: {orphan}, ");
    assert!(found.contains(&expected), "{found}");
    assert!(found.contains(&format!("of job {lost}\n")), "{found}");
    assert_eq!(store.keys().await.len(), 2, "nothing is removed yet");
    check_storage(&app, &["--min-age-hours", "0", "--remove"]);
    let kept = key_of(&app, whole).await;
    assert_eq!(store.keys().await, [format!("uploads/{kept}")]);
    let sentence = problem(
        app.get(&format!("/jobs/{lost}/results.csv")).await,
        StatusCode::SERVICE_UNAVAILABLE,
    )
    .await;
    assert!(sentence.contains("no longer in the storage"), "{sentence}");
    let job: Value = app.get_json(&format!("/jobs/{whole}")).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(app.downloaded_rows(whole).await, (4, 4, 1));
}
