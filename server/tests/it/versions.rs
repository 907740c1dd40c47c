//! Corrected versions of a file.

use reqwest::{StatusCode, multipart};
use serde_json::{Value, json};

use crate::harness::{TestApp, expect, problem};

async fn upload(app: &TestApp, query: &str, content: impl Into<Vec<u8>>) -> reqwest::Response {
    let part = multipart::Part::bytes(content.into()).file_name("payments.csv");
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

/// Processes a file, starting it with a format, and returns the job.
async fn process(app: &TestApp, query: &str, content: Vec<u8>, format: Option<&Value>) -> Value {
    let job = expect(upload(app, query, content).await, StatusCode::CREATED).await;
    let id = job["id"].as_i64().unwrap();
    match format {
        None => {
            app.begin(id).await;
        }
        Some(format) => {
            let body = json!({ "format": format });
            let started = app.post_json(&format!("/jobs/{id}/start"), &body).await;
            expect(started, StatusCode::ACCEPTED).await;
        }
    }
    app.finished(id).await
}

/// Returns what was read in each row.
async fn read(app: &TestApp, job: &Value) -> Vec<Value> {
    let (rows, _) = app.rows(&job["id"], "").await;
    let fields = ["transaction_id", "amount", "date", "description", "errors"];
    let read = |row: &Value| fields.iter().map(|field| row[field].clone()).collect();
    rows.iter().map(read).collect()
}

#[tokio::test]
async fn a_download_is_handed_in_again_whatever_the_format_of_its_file() {
    let app = TestApp::start().await;
    let latin = |text: &str| text.chars().map(|it| it as u8).collect::<Vec<u8>>();
    let bank = "Konto;1\nBuchungstag;Betrag;Text\n15.01.2024;-1,50;Größe\n16.01.2024;1.850,00;x\n";
    let utf16 = "transaction_id\tamount\tdate\nT1\t1.5\t2024-01-15\n".encode_utf16();
    let cases = [
        (
            latin(bank),
            json!({ "encoding": "windows-1252", "delimiter": ";", "skip_records": 1,
                    "columns": { "transaction_id": null, "amount": "Betrag", "date": "Buchungstag",
                                 "description": "Text" } }),
        ),
        (
            utf16.flat_map(u16::to_le_bytes).collect(),
            json!({ "encoding": "utf-16le" }),
        ),
        (
            b"Konto\nT1,1.50,2024-01-15\n=T2,2.50,2024-01-16\n".to_vec(),
            json!({ "header": false, "skip_records": 1,
                    "columns": { "transaction_id": 1, "amount": 2, "date": 3 } }),
        ),
        (
            b"id;soll;haben;datum\n1;1,234;;03/04/2024\n2;;2,345;05/06/2024\n".to_vec(),
            json!({ "decimal": ",", "date_order": "dmy",
                    "columns": { "transaction_id": "id", "date": "datum",
                                 "amount": { "debit": "soll", "credit": "haben" } } }),
        ),
    ];
    for (file, format) in cases {
        let user = format!("user_id={}", app.user().await);
        let job = process(&app, &user, file, Some(&format)).await;
        assert_eq!(job["status"], "completed", "{job}");
        let rows = read(&app, &job).await;
        let corrects = format!("{user}&corrects={}", job["id"]);
        for download in ["results.csv", "results.csv?excel", "results.xlsx"] {
            let path = format!("/jobs/{}/{download}", job["id"]);
            let content = app.get(&path).await.bytes().await.unwrap().to_vec();
            // By the job that it corrects, and by the saved format.
            for query in [&corrects, &user] {
                let again = process(&app, query, content.clone(), None).await;
                assert_eq!(again["status"], "completed", "{download} {query}: {again}");
                assert_eq!(read(&app, &again).await, rows, "{download} {query}");
            }
        }
        // None of these is saved under the names that a download adds.
        let saved = app
            .get_json(&format!("/users/{}/formats", &user[8..]))
            .await;
        assert_eq!(saved.as_array().unwrap().len(), 1, "{saved}");
        assert_eq!(saved[0]["format"], normal(&format), "{saved}");
    }

    // The edited original has the old format, unless it proves another encoding.
    let user = format!("user_id={}", app.user().await);
    let format = json!({ "encoding": "windows-1252", "skip_records": 1,
                         "columns": { "transaction_id": null, "amount": "Betrag", "date": "Buchungstag",
                                      "description": "Text" } });
    let job = process(&app, &user, latin(bank), Some(&format)).await;
    let corrects = format!("{user}&corrects={}", job["id"]);
    let edited = bank.replace("1.850,00", "1.850,01");
    for (content, source) in [(latin(&edited), "given"), (edited.into_bytes(), "content")] {
        let again = process(&app, &corrects, content, None).await;
        let rows = read(&app, &again).await;
        assert_eq!(
            (&rows[0][3], &rows[1][1]),
            (&json!("Größe"), &json!(1850.01))
        );
        let decisions = again["decisions"].as_array().unwrap();
        let encoding = decisions.iter().find(|it| it["key"] == "encoding").unwrap();
        assert_eq!(encoding["source"], source);
    }
}

#[tokio::test]
async fn a_download_of_a_chosen_sheet_is_handed_in_again() {
    let app = TestApp::start().await;
    let user = format!("user_id={}", app.user().await);
    let mut workbook = rust_xlsxwriter::Workbook::new();
    for (month, amount) in [("May", 1.5), ("June", 2.5)] {
        let sheet = workbook.add_worksheet().set_name(month).unwrap();
        for (column, name) in (0..).zip(["transaction_id", "amount", "date"]) {
            sheet.write(0, column, name).unwrap();
        }
        sheet.write(1, 0, "T1").unwrap();
        sheet.write(1, 1, amount).unwrap();
        sheet.write(1, 2, "2024-05-01").unwrap();
    }
    let file = workbook.save_to_buffer().unwrap();
    let job = process(&app, &user, file, Some(&json!({ "sheet": "June" }))).await;
    assert_eq!(job["status"], "completed", "{job}");
    let path = format!("/jobs/{}/results.xlsx", job["id"]);
    let download = app.get(&path).await.bytes().await.unwrap().to_vec();
    let corrects = format!("{user}&corrects={}", job["id"]);
    let again = process(&app, &corrects, download, None).await;
    assert_eq!(read(&app, &again).await, read(&app, &job).await, "{again}");
    assert_eq!(again["format"]["sheet"], "Results");
}

/// Returns the format as the API shows it: columns given by just a number are objects.
fn normal(format: &Value) -> Value {
    let mut format = format.clone();
    let columns = format.get_mut("columns").and_then(Value::as_object_mut);
    for column in columns.into_iter().flatten() {
        if column.1.is_number() {
            *column.1 = json!({ "column": column.1.clone() });
        }
    }
    format
}
