//! Uploads that are sent again because their response was lost.

use reqwest::{Response, StatusCode, multipart};

use crate::harness::{SAMPLE, TestApp, eventually, expect, problem};

/// Uploads a file to the API (`/jobs?user_id=…`) or by the form of a page, with an `Idempotency-Key`.
async fn send(app: &TestApp, url: &str, user_id: i64, content: &str, key: &str) -> Response {
    let part = multipart::Part::bytes(content.as_bytes().to_vec()).file_name("payments.csv");
    let form = match url.contains("/rpc/") {
        true => multipart::Form::new().text("user_id", user_id.to_string()),
        false => multipart::Form::new(),
    };
    let request = app.http.post(url).multipart(form.part("file", part));
    let request = request.header("accept", "application/json");
    request.header("idempotency-key", key).send().await.unwrap()
}

#[tokio::test]
async fn an_upload_that_is_sent_again_makes_no_second_job() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.user().await, app.user().await);
    let api = |user_id: i64| format!("{}/jobs?user_id={user_id}", app.api);
    let upload = async |user_id: i64, content: &'static str, key: &'static str| {
        let response = send(&app, &api(user_id), user_id, content, key).await;
        expect(response, StatusCode::CREATED).await["id"]
            .as_i64()
            .unwrap()
    };

    // At the same time, too.
    let ids = futures::future::join_all((0..4).map(|_| upload(ann, SAMPLE, "one"))).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let first = ids[0];
    app.begin(first).await;
    assert_eq!(app.finished(first).await["status"], "completed");
    assert_eq!(upload(ann, SAMPLE, "one").await, first);
    // By the form of a page, which starts nothing twice.
    let page = format!("{}/rpc/upload-file", app.web);
    let again = send(&app, &page, ann, SAMPLE, "one").await;
    assert_eq!(again.text().await.unwrap(), first.to_string());
    let job = app.get_json(&format!("/jobs/{first}")).await;
    assert_eq!(
        (&job["run"], &job["status"]),
        (&1.into(), &"completed".into())
    );

    let other = send(&app, &api(ann), ann, "another file", "one").await;
    let other = problem(other, StatusCode::CONFLICT).await;
    assert_eq!(
        other,
        "Another file was uploaded with this Idempotency-Key."
    );
    for wrong in ["", "é", &"x".repeat(101)] {
        let refused = send(&app, &api(ann), ann, SAMPLE, wrong).await;
        problem(refused, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    // The key is the user's own, and ends with its job.
    let of_bob = upload(bob, SAMPLE, "one").await;
    let second = upload(ann, SAMPLE, "two").await;
    assert!(of_bob != first && second != first);
    assert_eq!(
        app.delete(&format!("/jobs/{first}")).await.status(),
        StatusCode::NO_CONTENT
    );
    assert!(upload(ann, SAMPLE, "one").await > second);

    // The files that were sent again are removed: there is one for each of the three jobs.
    eventually("three files to be left", async || {
        (app.stored_files().len() == 3).then_some(())
    })
    .await;
}
