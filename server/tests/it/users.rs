//! Users.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{SAMPLE, TestApp, eventually, expect, problem};

#[tokio::test]
async fn a_user_is_created_listed_changed_and_deleted() {
    let app = TestApp::start().await;
    let ann = json!({"name": " Ann ", "email": "Ann@Example.com"});
    let response = app.post_json("/users", &ann).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let user = expect(response, StatusCode::CREATED).await;
    assert_eq!(user["name"], "Ann");
    assert_eq!(user["email"], "Ann@Example.com");
    assert_eq!(location, format!("/users/{}", user["id"]));
    assert_eq!(app.get_json(&location).await, user);

    let bob = json!({"name": "Bob", "email": "bob@example.com"});
    expect(app.post_json("/users", &bob).await, StatusCode::CREATED).await;
    let names: Vec<_> = app
        .get_json("/users")
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["Bob", "Ann"], "newest first");

    let change = json!({"name": "Anna"});
    let changed = expect(app.patch_json(&location, &change).await, StatusCode::OK).await;
    assert_eq!(
        (&changed["name"], &changed["email"]),
        (&json!("Anna"), &user["email"])
    );
    // A user's own address in another case is no conflict.
    let change = json!({"email": "anna@example.com"});
    expect(app.patch_json(&location, &change).await, StatusCode::OK).await;

    expect(app.delete(&location).await, StatusCode::NO_CONTENT).await;
    assert_eq!(
        problem(app.get(&location).await, StatusCode::NOT_FOUND).await,
        "User not found"
    );
    assert_eq!(
        problem(app.delete(&location).await, StatusCode::NOT_FOUND).await,
        "User not found"
    );
}

#[tokio::test]
async fn an_email_is_unique_ignoring_case() {
    let app = TestApp::start().await;
    let ann = json!({"name": "Ann", "email": "ann@example.com"});
    expect(app.post_json("/users", &ann).await, StatusCode::CREATED).await;
    let again = json!({"name": "Ann", "email": "ANN@Example.COM"});
    let detail = problem(app.post_json("/users", &again).await, StatusCode::CONFLICT).await;
    assert_eq!(detail, "That email address is already in use.");

    let other = app.user().await;
    let taken = json!({"email": "aNN@example.com"});
    let response = app.patch_json(&format!("/users/{other}"), &taken).await;
    assert_eq!(
        problem(response, StatusCode::CONFLICT).await,
        "That email address is already in use."
    );
}

#[tokio::test]
async fn each_invalid_field_has_a_message() {
    let app = TestApp::start().await;
    let body = json!({"name": "  ", "email": "nobody"});
    let found = expect(
        app.post_json("/users", &body).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    let fields: Vec<_> = found["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["name", "email"]);
    assert_eq!(
        found["detail"],
        "Enter a name. Enter an email address like name@example.com."
    );
    problem(
        app.post_json("/users", &json!({"name": "Ann"})).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    problem(
        app.get("/users/ann").await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
}

#[tokio::test]
async fn deleting_a_user_removes_jobs_rows_and_files() {
    let app = TestApp::start().await;
    let (gone, stays) = (app.user().await, app.user().await);
    for user_id in [gone, stays] {
        let job_id = app.upload(user_id, SAMPLE).await;
        app.begin(job_id).await;
        app.finished(job_id).await;
    }
    assert_eq!(app.stored_files().len(), 2);
    expect(
        app.delete(&format!("/users/{gone}")).await,
        StatusCode::NO_CONTENT,
    )
    .await;
    eventually("the rows and the file to be removed", async || {
        let rows: i64 = sqlx::query_scalar("select sum(rows)::bigint from job_chunks")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        (rows == 4 && app.stored_files().len() == 1).then_some(())
    })
    .await;
    let jobs = app.get_json(&format!("/users/{stays}/jobs")).await;
    assert_eq!(jobs.as_array().unwrap().len(), 1);
    problem(
        app.get(&format!("/users/{gone}/jobs")).await,
        StatusCode::NOT_FOUND,
    )
    .await;
}

#[tokio::test]
async fn a_page_of_users_is_found_by_name_or_email() {
    let app = TestApp::start().await;
    for n in 1..=21 {
        let user = json!({"name": format!("Ann {n}"), "email": format!("{n}@example.com")});
        expect(app.post_json("/users", &user).await, StatusCode::CREATED).await;
    }
    let bob = json!({"name": "Bob", "email": "bob@example.com"});
    expect(app.post_json("/users", &bob).await, StatusCode::CREATED).await;
    let pages = "class=\"pager\"";
    for (query, has, lacks) in [
        ("q=ANN", "1–20 of 21 users", "bob@example.com"),
        ("q=ann&page=2", "21–21 of 21 users", "bob@example.com"),
        // Beyond the last page there is the last page.
        ("q=ann&page=99", "21–21 of 21 users", "bob@example.com"),
        ("q=EXAMPLE&page=3", "21–22 of 22 users", "bob@example.com"),
        ("q=bob%40", "bob@example.com", pages),
        ("q=nobody&page=2", "No user matches this search.", pages),
    ] {
        let page = app.page(&format!("/users?{query}")).await;
        assert!(
            page.contains(has) && !page.contains(lacks),
            "{query}: {page}"
        );
    }
}
