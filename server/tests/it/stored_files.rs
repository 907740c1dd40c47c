//! Stored files that are missing, or that differ from what was uploaded.

use std::{fs, path::PathBuf};

use reqwest::StatusCode;

use crate::harness::{SAMPLE, TestApp, generated, problem};

/// Returns the stored file with this size.
fn stored(app: &TestApp, bytes: usize) -> PathBuf {
    let is_it = |path: &PathBuf| fs::metadata(path).unwrap().len() == bytes as u64;
    app.stored_files().into_iter().find(is_it).unwrap()
}

/// Changes a digit in this text of the file.
fn change(path: &PathBuf, text: &str) {
    let content = fs::read_to_string(path).unwrap();
    let at = content.find(text).unwrap();
    let mut content = content.into_bytes();
    content[at] ^= 1;
    fs::write(path, content).unwrap();
}

fn cut(path: &PathBuf) {
    let content = fs::read(path).unwrap();
    fs::write(path, &content[..content.len() - 1]).unwrap();
}

const CHANGED: &str = "The stored file has changed since it was uploaded. Upload it again.";
const MISSING: &str = "The uploaded file is no longer in the storage. Upload it again.";

#[tokio::test]
async fn a_changed_file_is_not_validated() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let (long, _) = generated(60_000);
    for (name, spoil, sentence) in [
        (
            "changed",
            (|path| change(path, "2024-01-15")) as fn(&PathBuf),
            CHANGED,
        ),
        ("cut", cut, CHANGED),
        ("missing", |path| fs::remove_file(path).unwrap(), MISSING),
    ] {
        // One that is processed in one step, and one that is planned first.
        for content in [SAMPLE, &long] {
            let job_id = app.upload(user_id, content).await;
            spoil(&stored(&app, content.len()));
            app.begin(job_id).await;
            let job = app.finished(job_id).await;
            assert_eq!(job["status"], "failed", "{name}");
            assert_eq!(job["error"], sentence, "{name}");
            assert_eq!(job["processed_records"], 0, "{name}");
            app.delete(&format!("/jobs/{job_id}")).await;
        }
    }
}

#[tokio::test]
async fn a_file_that_changes_during_validation_fails_its_job() {
    let app = TestApp::start().await;
    app.slow_down().await;
    let user_id = app.user().await;
    let (content, _) = generated(1_000_000);
    let job_id = app.upload(user_id, content.clone()).await;
    app.begin(job_id).await;
    app.under_way(job_id).await;
    // A step may commit what it has already read.
    app.command(job_id, "pause").await;
    change(&stored(&app, content.len()), "TXN01000000");
    app.command(job_id, "resume").await;
    let job = app.finished(job_id).await;
    assert_eq!(job["status"], "failed");
    assert_eq!(job["error"], CHANGED);
}

#[tokio::test]
async fn rows_of_a_missing_or_changed_file_are_not_shown() {
    let app = TestApp::start().await;
    for (spoil, sentence) in [
        (
            (|path| change(path, "TXN00000300")) as fn(&PathBuf),
            "The job's file in the storage has changed since it was uploaded, so its rows can't be read.",
        ),
        (
            |path| fs::remove_file(path).unwrap(),
            "The job's file is no longer in the storage, so its rows can't be read.",
        ),
    ] {
        let (content, _) = generated(1000);
        let job = app.process(content.clone()).await;
        let id = &job["id"];
        spoil(&stored(&app, content.len()));
        for path in [
            format!("/jobs/{id}/transactions?page=16&size=20"),
            format!("/jobs/{id}/transactions?q=TXN00000301"),
            format!("/jobs/{id}/results.csv"),
            format!("/jobs/{id}/results.xlsx"),
        ] {
            let detail = problem(app.get(&path).await, StatusCode::SERVICE_UNAVAILABLE).await;
            assert!(detail.starts_with(sentence), "{path}: {detail}");
        }
        // The verdict stays, and the page still works.
        let page = app.page_response(&format!("/jobs/{id}")).await;
        let page = page.text().await.unwrap().replace("&#x27;", "'");
        assert!(page.contains(sentence), "{page}");
        app.delete(&format!("/jobs/{id}")).await;
    }
}
