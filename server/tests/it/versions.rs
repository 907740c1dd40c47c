//! Corrected versions of a file.

use reqwest::{StatusCode, multipart};
use serde_json::{Value, json};

use crate::harness::{TestApp, expect, problem};

async fn upload(app: &TestApp, query: &str, content: &str) -> reqwest::Response {
    let part = multipart::Part::bytes(content.as_bytes().to_vec()).file_name("payments.csv");
    let form = multipart::Form::new().part("file", part);
    app.post_multipart(&format!("/jobs?{query}"), form).await
}

#[tokio::test]
async fn versions_of_a_file_are_linked() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.user().await, app.user().await);
    let german = "id;betrag;datum\n1;2,5;03.04.2024\n";
    let first = expect(
        upload(&app, &format!("user_id={ann}"), german).await,
        StatusCode::CREATED,
    )
    .await;
    let first_id = first["id"].as_i64().unwrap();
    let given = json!({"format": {"columns": {"transaction_id": "id", "amount": "betrag", "date": "datum"}}});
    expect(
        app.post_json(&format!("/jobs/{first_id}/start"), &given)
            .await,
        StatusCode::ACCEPTED,
    )
    .await;
    assert_eq!(app.finished(first_id).await["status"], "completed");

    // Each file corrects the one before. Answers that were given for the first are not asked again.
    let mut ids = vec![first_id];
    for _ in 0..2 {
        let query = format!("user_id={ann}&corrects={}", ids[ids.len() - 1]);
        let next = expect(upload(&app, &query, german).await, StatusCode::CREATED).await;
        let id = next["id"].as_i64().unwrap();
        app.begin(id).await;
        assert_eq!(app.finished(id).await["status"], "completed");
        ids.push(id);
    }
    let newest_first: Vec<Value> = ids.iter().rev().map(|id| json!(id)).collect();
    for (at, id) in ids.iter().enumerate() {
        let job = app.get_json(&format!("/jobs/{id}")).await;
        assert_eq!(job["versions"], json!(newest_first));
        let before = at.checked_sub(1).map(|before| ids[before]);
        assert_eq!(job["corrects"], json!(before));
    }

    let foreign = upload(&app, &format!("user_id={bob}&corrects={first_id}"), german).await;
    problem(foreign, StatusCode::NOT_FOUND).await;
    let none = upload(&app, &format!("user_id={ann}&corrects=999999"), german).await;
    problem(none, StatusCode::NOT_FOUND).await;
    let wrong = upload(&app, &format!("user_id={ann}&corrects=x"), german).await;
    problem(wrong, StatusCode::UNPROCESSABLE_ENTITY).await;

    // Deleting one version keeps the others.
    expect(
        app.delete(&format!("/jobs/{}", ids[1])).await,
        StatusCode::NO_CONTENT,
    )
    .await;
    let last = app.get_json(&format!("/jobs/{}", ids[2])).await;
    assert_eq!(
        (&last["corrects"], &last["versions"]),
        (&Value::Null, &json!([]))
    );
}
