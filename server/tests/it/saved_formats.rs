//! A user's saved formats, and how they apply to other files.

use reqwest::{StatusCode, multipart};
use serde_json::{Value, json};

use crate::harness::{TestApp, expect, problem};

const FIRST: &str = "Wann;Wert;Wofür\n03/04/2024;1,50;Brot\n05/06/2024;2,25;Milch\n";
const SECOND: &str = " wann ;WERT;Wofür\n07/08/2024;3,50;Käse\n";

fn format() -> Value {
    json!({
        "columns": { "transaction_id": null, "amount": "Wert", "date": "Wann", "description": "Wofür" },
        "date_order": "dmy"
    })
}

/// Processes this file with these form fields and returns the completed or failed job.
async fn process(
    app: &TestApp,
    user_id: i64,
    filename: &str,
    content: impl Into<Vec<u8>>,
    given: &[(&'static str, &str)],
) -> Value {
    let mut form = multipart::Form::new();
    for (name, value) in given {
        form = form.text(*name, (*value).to_owned());
    }
    let file = multipart::Part::bytes(content.into()).file_name(filename.to_owned());
    let response = app
        .post_multipart(&format!("/jobs?user_id={user_id}"), form.part("file", file))
        .await;
    let job = expect(response, StatusCode::CREATED).await;
    let job_id = job["job_id"].as_i64().unwrap();
    app.begin(job_id).await;
    app.finished(job_id).await
}

async fn formats(app: &TestApp, user_id: i64) -> Vec<Value> {
    let formats = app.get_json(&format!("/users/{user_id}/formats")).await;
    formats.as_array().unwrap().clone()
}

fn source<'a>(job: &'a Value, key: &str) -> &'a Value {
    let mut decisions = job["decisions"].as_array().unwrap().iter();
    &decisions.find(|it| it["key"] == key).unwrap()["source"]
}

#[tokio::test]
async fn a_given_format_is_saved_and_applied_by_the_header() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let given = format().to_string();
    let job = process(&app, user_id, "bank.csv", FIRST, &[("format", &given)]).await;
    assert_eq!(
        (&job["status"], &job["format_name"]),
        (&json!("completed"), &Value::Null),
        "{job}"
    );
    let saved = formats(&app, user_id).await;
    assert_eq!(saved.len(), 1);
    assert_eq!(saved[0]["name"], "bank");
    assert_eq!(saved[0]["header"], json!(["wann", "wert", "wofür"]));
    assert_eq!(saved[0]["format"], format());
    let first_id = job["id"].as_i64().unwrap();

    let job = process(&app, user_id, "next.csv", SECOND, &[]).await;
    assert_eq!(
        (&job["status"], &job["format_name"]),
        (&json!("completed"), &json!("bank")),
        "{job}"
    );
    assert_eq!(source(&job, "columns.amount"), "saved");
    assert_eq!(source(&job, "date_order"), "saved");
    assert_eq!(source(&job, "decimal"), "evidence");
    let (rows, _) = app.rows(&job["id"], "").await;
    assert_eq!(rows[0]["date"], "2024-08-07");
    let page = app.page(&format!("/jobs/{}", job["id"])).await;
    assert!(page.contains("Saved format"), "{page}");

    // For each key, a given value takes precedence over the saved one, and is saved itself.
    let given = json!({ "date_order": "mdy" }).to_string();
    let job = process(&app, user_id, "next.csv", SECOND, &[("format", &given)]).await;
    assert_eq!(source(&job, "columns.amount"), "saved");
    assert_eq!(source(&job, "date_order"), "given");
    let (rows, _) = app.rows(&job["id"], "").await;
    assert_eq!(rows[0]["date"], "2024-07-08");
    let saved = formats(&app, user_id).await;
    assert_eq!((saved.len(), &saved[0]["name"]), (1, &json!("bank")));
    assert_eq!(saved[0]["format"]["date_order"], "mdy");
    assert_eq!(saved[0]["format"]["columns"], format()["columns"]);
    // The audit names the jobs that have changed saved formats.
    let audited: Vec<(String, String, i64, i64, String)> = sqlx::query_as(
        "select actor, kind, user_id, job_id, detail from audit_events where kind like '%_format' order by id",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    let saved = |kind: &str, job_id| {
        let (actor, name) = ("worker".to_owned(), "bank".to_owned());
        (actor, kind.to_owned(), user_id, job_id, name)
    };
    let last_id = job["id"].as_i64().unwrap();
    assert_eq!(
        audited,
        [
            saved("create_format", first_id),
            saved("change_format", last_id)
        ]
    );

    // Other users aren't affected.
    let other = app.user().await;
    let job = process(&app, other, "next.csv", SECOND, &[]).await;
    assert_eq!(
        (&job["status"], &job["format_name"]),
        (&json!("failed"), &Value::Null)
    );
    assert_eq!(formats(&app, other).await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_answers_to_questions_are_saved_for_files_in_legacy_encodings() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job = process(
        &app,
        user_id,
        "konto.csv",
        &b"Saldo;1\n\nTag;Geb\xFChr;Zweck\n31.12.2024;1,50;B\xE4r\n"[..],
        &[],
    )
    .await;
    assert_eq!(job["status"], "failed");
    let answers = json!({ "format": {
        "encoding": "windows-1252", "delimiter": ";", "skip_records": 1,
        "columns": { "transaction_id": null, "amount": "Gebühr", "date": "Tag" }
    } });
    let path = format!("/jobs/{}/retry", job["id"]);
    expect(app.post_json(&path, &answers).await, StatusCode::ACCEPTED).await;
    let job = app.finished(job["id"].as_i64().unwrap()).await;
    assert_eq!(job["status"], "completed", "{job}");
    // The next statement has more lines before the header.
    let next = b"Saldo;1\nIBAN;2\n\nTag;Geb\xFChr;Zweck\n30.12.2024;2,50;B\xE4r\n";
    let job = process(&app, user_id, "konto2.csv", &next[..], &[]).await;
    assert_eq!(
        (&job["status"], &job["format_name"]),
        (&json!("completed"), &json!("konto")),
        "{job}"
    );
    assert_eq!(job["format"]["skip_records"], 2);
    assert_eq!(source(&job, "encoding"), "saved");
}

#[tokio::test]
async fn large_files_are_read_under_saved_formats_too() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let mut large = "Wann;Wert;Wofür\n".to_owned();
    for row in 0..60_000 {
        large += &format!("03/04/2024;{row},50;Brot und Milch\n");
    }
    assert!(large.len() > 1 << 20);
    let given = format().to_string();
    let job = process(
        &app,
        user_id,
        "large.csv",
        large.clone(),
        &[("format", &given)],
    )
    .await;
    assert_eq!(
        (&job["status"], &job["valid_records"]),
        (&json!("completed"), &json!(60_000)),
        "{job}"
    );
    let job = process(&app, user_id, "large2.csv", large, &[]).await;
    assert_eq!(
        (&job["status"], &job["format_name"]),
        (&json!("completed"), &json!("large")),
        "{job}"
    );
    assert_eq!(source(&job, "columns.date"), "saved");
    assert_eq!(formats(&app, user_id).await.len(), 1);
}

#[tokio::test]
async fn a_format_is_chosen_by_its_name() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let headless = json!({
        "name": "No header", "header": null,
        "format": {
            "header": false, "date_order": "dmy", "decimal": ".",
            "columns": { "transaction_id": null, "date": { "column": 1 }, "amount": { "column": 2 } }
        }
    });
    let path = format!("/users/{user_id}/formats");
    let created = expect(app.post_json(&path, &headless).await, StatusCode::CREATED).await;
    let file = "03/04/2024,1.50\n05/06/2024,2.25\n";
    let job = process(
        &app,
        user_id,
        "a.csv",
        file,
        &[("format_name", "No header")],
    )
    .await;
    assert_eq!(
        (&job["status"], &job["format_name"]),
        (&json!("completed"), &json!("No header")),
        "{job}"
    );
    assert_eq!(
        (&job["total_records"], source(&job, "header")),
        (&json!(2), &json!("saved"))
    );

    // The same holds for a retry.
    let job = process(&app, user_id, "b.csv", file, &[]).await;
    assert_eq!(job["status"], "failed");
    let retry = format!("/jobs/{}/retry", job["id"]);
    let unknown = app
        .post_json(&retry, &json!({ "format_name": "Nobody's" }))
        .await;
    let sentence = problem(unknown, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(
        sentence,
        "This user has no saved format named \"Nobody's\"."
    );
    let body = json!({ "format_name": "No header" });
    expect(app.post_json(&retry, &body).await, StatusCode::ACCEPTED).await;
    let job = app.finished(job["id"].as_i64().unwrap()).await;
    assert_eq!(
        (&job["status"], &job["format_name"]),
        (&json!("completed"), &json!("No header")),
        "{job}"
    );

    // Keys that are given with it change it.
    let given = [
        ("format_name", "No header"),
        ("format", r#"{"date_order": "mdy"}"#),
    ];
    let job = process(&app, user_id, "c.csv", file, &given).await;
    assert_eq!(job["status"], "completed", "{job}");
    let saved = formats(&app, user_id).await;
    assert_eq!((saved.len(), &saved[0]["id"]), (1, &created["id"]));
    assert_eq!(saved[0]["format"]["date_order"], "mdy");

    let unknown = multipart::Form::new().text("format_name", "Nobody's");
    let unknown = unknown.part(
        "file",
        multipart::Part::bytes(b"a".to_vec()).file_name("a.csv"),
    );
    problem(
        app.post_multipart(&format!("/jobs?user_id={user_id}"), unknown)
            .await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
}

#[tokio::test]
async fn formats_are_imported_renamed_edited_and_deleted() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let path = format!("/users/{user_id}/formats");
    let new =
        json!({ "name": " Bank ", "header": ["Wann ", "WERT", "Wofür", ""], "format": format() });
    let response = app.post_json(&path, &new).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let created = expect(response, StatusCode::CREATED).await;
    assert_eq!(location, format!("{path}/{}", created["id"]));
    assert_eq!(created["name"], "Bank");
    assert_eq!(created["header"], json!(["wann", "wert", "wofür"]));
    // An exported format can be imported, once its name and header are free.
    assert_eq!(app.get_json(&location).await, created);
    problem(app.post_json(&path, &created).await, StatusCode::CONFLICT).await;
    let other = app.user().await;
    let copy = app
        .post_json(&format!("/users/{other}/formats"), &created)
        .await;
    expect(copy, StatusCode::CREATED).await;

    let job = process(&app, user_id, "a.csv", SECOND, &[]).await;
    assert_eq!(
        (&job["status"], &job["format_name"]),
        (&json!("completed"), &json!("Bank")),
        "{job}"
    );

    let renamed = app
        .patch_json(&location, &json!({ "name": "Sparkasse" }))
        .await;
    let renamed = expect(renamed, StatusCode::OK).await;
    assert_eq!(
        (&renamed["name"], &renamed["format"]),
        (&json!("Sparkasse"), &format())
    );
    assert_eq!(renamed["header"], created["header"]);
    let edited = app
        .patch_json(
            &location,
            &json!({ "format": { "decimal": "," }, "header": null }),
        )
        .await;
    let edited = expect(edited, StatusCode::OK).await;
    assert_eq!(
        (&edited["format"], &edited["header"]),
        (&json!({ "decimal": "," }), &Value::Null)
    );
    let wrong = json!({ "format": { "decimal": ";" }, "name": "" });
    let wrong = expect(
        app.patch_json(&location, &wrong).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert_eq!(
        (&wrong["errors"][0]["field"], &wrong["errors"][1]["field"]),
        (&json!("name"), &json!("format.decimal"))
    );
    let wrong = json!({ "name": "a", "header": ["one"], "format": {} });
    problem(
        app.post_json(&path, &wrong).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;

    // Other users can't use it.
    let elsewhere = format!("/users/{other}/formats/{}", created["id"]);
    problem(app.get(&elsewhere).await, StatusCode::NOT_FOUND).await;
    problem(app.delete(&elsewhere).await, StatusCode::NOT_FOUND).await;
    assert_eq!(app.delete(&location).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(formats(&app, user_id).await, Vec::<Value>::new());
    // Jobs that were read under it still show its name, and a user is deleted with all formats.
    let job = app.get_json(&format!("/jobs/{}", job["id"])).await;
    assert_eq!(job["format_name"], "Bank");
    assert_eq!(
        app.delete(&format!("/users/{other}")).await.status(),
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn the_page_of_a_user_has_forms_for_saved_formats() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let page = format!("/users/{user_id}");
    let user = user_id.to_string();
    assert!(app.page(&page).await.contains("None yet."));

    let export =
        json!({ "name": "Bank", "header": ["Wann", "Wert"], "format": { "decimal": "," } });
    let fields = [("user_id", user.as_str()), ("json", &export.to_string())];
    app.post_form("/rpc/import-format", &fields).await;
    let saved = formats(&app, user_id).await;
    assert_eq!(saved[0]["header"], json!(["wann", "wert"]));
    let id = saved[0]["id"].to_string();
    let html = app.page(&page).await;
    assert!(html.contains("Header: wann, wert"), "{html}");
    assert!(
        html.contains(&format!("/api/users/{user_id}/formats/{id}")),
        "{html}"
    );

    let fields = [
        ("user_id", user.as_str()),
        ("format_id", &id),
        ("name", "Sparkasse"),
        ("format", r#"{ "decimal": "." }"#),
    ];
    app.post_form("/rpc/update-format", &fields).await;
    let saved = formats(&app, user_id).await;
    assert_eq!(
        (&saved[0]["name"], &saved[0]["format"]),
        (&json!("Sparkasse"), &json!({ "decimal": "." }))
    );

    let fields = [("user_id", user.as_str()), ("format_id", &id)];
    app.post_form("/rpc/delete-format", &fields).await;
    assert_eq!(formats(&app, user_id).await, Vec::<Value>::new());
    let again = app.post_form("/rpc/delete-format", &fields).await;
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_that_proves_its_encoding_is_not_read_in_the_saved_one() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let header = "transaction_id;amount;date;description\n";
    let file = format!("{header}T1;1.5;2024-01-15;Größe\n");
    let latin: Vec<u8> = file.chars().map(|it| it as u8).collect();
    let given = [("format", r#"{"encoding": "windows-1252"}"#)];
    let job = process(&app, user_id, "a.csv", latin.clone(), &given).await;
    assert_eq!(job["status"], "completed", "{job}");
    let mut large = header.to_owned();
    for row in 0..40_000 {
        large += &format!("R{row};1.5;2024-01-15;a description\n");
    }
    large += "T1;1.5;2024-01-15;Größe\n";
    for (content, encoding, expect) in [
        (latin, "windows-1252", "saved"),
        (file.clone().into_bytes(), "utf-8", "content"),
        (format!("\u{FEFF}{file}").into_bytes(), "utf-8", "content"),
        (large.into_bytes(), "utf-8", "content"),
    ] {
        let job = process(&app, user_id, "b.csv", content, &[]).await;
        assert_eq!(
            (&job["format"]["encoding"], source(&job, "encoding")),
            (&json!(encoding), &json!(expect))
        );
        assert_eq!(job["format_name"], "a");
        let (rows, _) = app.rows(&job["id"], "q=T1").await;
        assert_eq!(rows[0]["description"], "Größe", "{job}");
    }
    // Neither key applies to a workbook.
    let path = format!("/jobs/{}/results.xlsx", job["id"]);
    let workbook = app.get(&path).await.bytes().await.unwrap().to_vec();
    let given = [("format", r#"{"encoding": "utf-16le", "delimiter": ";"}"#)];
    for given in [&given[..], &[]] {
        let job = process(&app, user_id, "c.xlsx", workbook.clone(), given).await;
        let (rows, _) = app.rows(&job["id"], "").await;
        assert_eq!(rows[0]["description"], "Größe", "{job}");
        assert_eq!(source(&job, "encoding"), "content");
    }
}

#[tokio::test]
async fn a_file_that_contradicts_a_saved_answer_asks_again() {
    let app = TestApp::start().await;
    let header = "transaction_id;amount;date\n";
    for (key, answer, ambiguous, contradicting, value) in [
        (
            "decimal",
            ",",
            "T1;1,234;2024-01-15",
            "T2;12.50;2024-01-16",
            "12.50",
        ),
        (
            "decimal",
            ".",
            "T1;1.234;2024-01-15",
            "T2;12,50;2024-01-16",
            "12,50",
        ),
        (
            "date_order",
            "dmy",
            "T1;1.5;01/02/2024",
            "T2;1.5;01/31/2024",
            "01/31/2024",
        ),
        (
            "date_order",
            "mdy",
            "T1;1.5;01/02/2024",
            "T2;1.5;31/01/2024",
            "31/01/2024",
        ),
    ] {
        let user_id = app.user().await;
        let first = format!("{header}{ambiguous}\n");
        let given = json!({ key: answer }).to_string();
        let job = process(&app, user_id, "a.csv", first.clone(), &[("format", &given)]).await;
        let expect_rows = app.rows(&job["id"], "").await.0;
        let job = process(&app, user_id, "b.csv", first.clone(), &[]).await;
        assert_eq!(source(&job, key), "saved", "{job}");
        assert_eq!(app.rows(&job["id"], "").await.0, expect_rows);

        let file = format!("{first}{contradicting}\n");
        let job = process(&app, user_id, "c.csv", file.clone(), &[]).await;
        assert_eq!(job["error_code"], format!("format.{key}"), "{job}");
        let message = job["questions"][0]["message"].as_str().unwrap();
        assert!(
            message.starts_with("Your saved format reads ")
                && message.contains(&format!("\"{value}\" in row 2")),
            "{message}"
        );
        let samples = &job["questions"][0]["choices"][0]["samples"];
        assert_eq!(samples[0]["value"], value);
        // What is given for the file itself isn't questioned.
        let job = process(&app, user_id, "d.csv", file, &[("format", &given)]).await;
        assert_eq!(source(&job, key), "given", "{job}");
    }
}
