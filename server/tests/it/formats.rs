//! How a file is read: questions, given formats, and what pages and API show of them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{TestApp, expect};

/// Returns the first rows of a job as id, amount, date and error codes.
async fn read(app: &TestApp, job: &Value) -> Vec<Value> {
    let (rows, _) = app.rows(&job["id"], "size=1000").await;
    rows.iter()
        .map(|row| {
            let errors = row["errors"].as_array().unwrap().iter();
            let codes: Vec<_> = errors.map(|error| error["code"].clone()).collect();
            json!([row["transaction_id"], row["amount"], row["date"], codes])
        })
        .collect()
}

async fn retried(app: &TestApp, job: &Value, format: Value) -> Value {
    let path = format!("/jobs/{}/retry", job["id"]);
    let answer = app.post_json(&path, &json!({ "format": format })).await;
    expect(answer, StatusCode::ACCEPTED).await;
    app.finished(job["id"].as_i64().unwrap()).await
}

fn keys(job: &Value) -> Vec<&str> {
    let questions = job["questions"].as_array().unwrap().iter();
    questions
        .map(|question| question["key"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_bank_statement_is_read_once_its_questions_are_answered() {
    let app = TestApp::start().await;
    // windows-1252, with three lines before the header.
    let statement = b"Umsatzanzeige;Datei erstellt am: 28.12.2025\n\nIBAN;DE00\nSaldo;150,00;EUR\n\
        Buchung;Auftraggeber/Empf\xE4nger;Verwendungszweck;Saldo;W\xE4hrung;Betrag;W\xE4hrung\n\
        28.12.2025;Blumenhaus S\xFCd;Strau\xDF;150,00;EUR;-5,49;EUR\n\
        21.12.2025;Peter;Miete;155,49;EUR;-1.069,00;EUR\n";
    let job = app.process(statement).await;
    assert_eq!(
        (&job["status"], &job["error_code"]),
        (&json!("failed"), &json!("format.encoding"))
    );
    assert_eq!(keys(&job), ["encoding", "columns"]);
    assert_eq!(job["questions"][0]["suggestion"], "windows-1252");
    let columns = &job["questions"][1];
    assert_eq!(
        columns["suggestion"],
        json!({
            "delimiter": ";",
            "skip_records": 3,
            "columns": {
                "transaction_id": null, "amount": "Betrag", "date": "Buchung", "description": "Verwendungszweck"
            }
        })
    );
    assert_eq!(columns["rows"][0][0], "28.12.2025");

    // A single answer isn't enough, and earlier answers are kept.
    let job = retried(&app, &job, json!({ "encoding": "windows-1252" })).await;
    assert_eq!(keys(&job), ["columns"]);
    assert_eq!(job["questions"][0]["header"][1], "Auftraggeber/Empfänger");
    let columns = json!({ "transaction_id": null, "amount": "Betrag", "date": "Buchung", "description": "Verwendungszweck" });
    let job = retried(&app, &job, json!({ "columns": columns })).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(
        (&job["error_code"], &job["questions"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(
        read(&app, &job).await,
        [
            json!([null, -5.49, "2025-12-28", []]),
            json!([null, -1069.00, "2025-12-21", []])
        ]
    );
    let (rows, _) = app.rows(&job["id"], "q=rau%C3%9F").await;
    assert_eq!(rows[0]["description"], "Strauß");
    assert_eq!(job["format"]["decimal"], ",");
    assert_eq!(job["format"]["columns"]["amount"], "Betrag");
    let decisions = job["decisions"].as_array().unwrap();
    let decision = |key: &str| {
        decisions
            .iter()
            .find(|it| it["key"] == key)
            .unwrap()
            .clone()
    };
    assert_eq!(
        decision("decimal"),
        json!({ "key": "decimal", "value": ",", "source": "evidence", "row": 1, "found": "-5,49" })
    );
    assert_eq!(decision("skip_records")["value"], 3);
    assert_eq!(decision("columns.date")["source"], "given");
    let csv = app
        .get(&format!("/jobs/{}/results.csv", job["id"]))
        .await
        .text()
        .await
        .unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0].ends_with("errors,error_message,amount_read,date_read"),
        "{csv}"
    );
    assert!(lines[2].ends_with(",-1069.00,2025-12-21"), "{csv}");
}

#[tokio::test]
async fn unproved_formats_raise_questions() {
    let app = TestApp::start().await;
    let ambiguous = "transaction_id,amount,date\nA,1.234,03/04/2024\nB,2,05/06/2024\n";
    let job = app.process(ambiguous).await;
    assert_eq!(job["error_code"], "format.date_order");
    assert_eq!(keys(&job), ["date_order", "decimal"]);
    assert_eq!(
        job["questions"][0]["choices"][0],
        json!({
            "value": "dmy",
            "label": "Day first",
            "samples": [
                { "row": 1, "value": "03/04/2024", "read_as": "3 April 2024" },
                { "row": 2, "value": "05/06/2024", "read_as": "5 June 2024" }
            ]
        })
    );
    assert_eq!(
        job["questions"][1]["choices"][1]["samples"][0]["read_as"],
        "1234"
    );
    // `null` takes an answer back.
    let job = retried(&app, &job, json!({ "date_order": "dmy" })).await;
    assert_eq!(keys(&job), ["decimal"]);
    let job = retried(&app, &job, json!({ "date_order": null, "decimal": "," })).await;
    assert_eq!(keys(&job), ["date_order"]);
    let job = retried(&app, &job, json!({ "date_order": "mdy" })).await;
    assert_eq!(
        read(&app, &job).await,
        [
            json!(["A", 1234, "2024-03-04", []]),
            json!(["B", 2, "2024-05-06", []])
        ]
    );

    // A single row decides, wherever it is.
    let proved = "transaction_id,amount,date\nA,1.234,03/04/2024\nB,1.5,13/04/2024\n";
    let job = app.process(proved).await;
    assert_eq!(
        read(&app, &job).await,
        [
            json!(["A", 1.234, "2024-04-03", []]),
            json!(["B", 1.5, "2024-04-13", []])
        ]
    );
    // Two contradictory rows don't.
    let job = app
        .process("transaction_id,amount,date\nA,1.5,13/04/2024\nB,1,04/13/2024\nC,\"1,5\",\n")
        .await;
    assert_eq!(keys(&job), ["date_order", "decimal"]);
    let message = job["questions"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("\"13/04/2024\" in row 1") && message.contains("row 2"),
        "{message}"
    );
}

#[tokio::test]
async fn a_format_can_be_given_at_upload_or_start() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let file = "Txn,Soll,Haben,Tag,State\n1,5.00,,2024-01-02,done\n2,,7.50,2024-01-03,Pending\n3,,,2024-01-04,done\n3,0,80000,2024-01-05,done\n";
    let format = json!({
        "columns": { "transaction_id": { "from": "txn", "unique": false }, "date": "Tag",
                     "amount": { "debit": "Soll", "credit": "Haben" } },
        "ignore": [{ "column": "State", "is": ["Pending"] }],
        "suspicious": { "below": null, "above": 100000 }
    });
    let form = reqwest::multipart::Form::new()
        .text("format", format.to_string())
        .part(
            "file",
            reqwest::multipart::Part::bytes(file.as_bytes()).file_name("a.csv"),
        );
    let answer = app
        .post_multipart(&format!("/jobs?user_id={user}"), form)
        .await;
    let job = expect(answer, StatusCode::CREATED).await;
    app.begin(job["id"].as_i64().unwrap()).await;
    let job = app.finished(job["id"].as_i64().unwrap()).await;
    assert_eq!(job["status"], "completed", "{job}");
    let counts = [
        "total_records",
        "valid_records",
        "invalid_records",
        "suspicious_records",
        "ignored_records",
    ];
    assert_eq!(
        counts.map(|name| job[name].as_u64().unwrap()),
        [3, 2, 1, 0, 1]
    );
    assert_eq!(
        read(&app, &job).await,
        [
            json!(["1", -5.00, "2024-01-02", []]),
            json!(["3", null, "2024-01-04", ["amount.missing"]]),
            json!(["3", 80000, "2024-01-05", []])
        ]
    );
    let (rows, total) = app.rows(&job["id"], "filter=ignored").await;
    assert_eq!((rows[0]["row_number"].as_u64(), total), (Some(2), 1));
    // The page that contains a row is found by counting visible rows.
    let (rows, _) = app.rows(&job["id"], "row=3&size=1").await;
    assert_eq!(rows[0]["row_number"], 3);

    let id = app.upload(user, file).await;
    for (format, field) in [
        (json!({ "colour": 1 }), "format.colour"),
        (
            json!({ "columns": { "amount": 0 } }),
            "format.columns.amount",
        ),
    ] {
        let answer = app
            .post_json(&format!("/jobs/{id}/start"), &json!({ "format": format }))
            .await;
        let problem = expect(answer, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let answer = app
        .post_json(&format!("/jobs/{id}/start"), &json!({ "format": format }))
        .await;
    expect(answer, StatusCode::ACCEPTED).await;
    assert_eq!(app.finished(id).await["ignored_records"], 1);
}

#[tokio::test]
async fn questions_are_answered_on_the_page_without_javascript() {
    let app = TestApp::start().await;
    let job = app
        .process("Txn ID,Value,Booking date,Memo\nT1,10.00,2025-01-01,a\n")
        .await;
    let id = &job["id"];
    let page = app.page(&format!("/jobs/{id}")).await;
    assert!(page.contains("How should this file be read?"), "{page}");
    assert!(
        page.contains("<option value=\"&quot;Value&quot;\" selected>Value</option>"),
        "{page}"
    );
    let answers = [
        ("date", "\"Booking date\""),
        ("amount", ""),
        ("transaction_id", "\"Txn ID\""),
    ];
    let path = format!("/jobs/{id}/answers");
    let refused = app.post_form(&path, &answers).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("Choose one column for the amount")
    );
    let answers = [
        ("date", "\"Booking date\""),
        ("amount", "\"Value\""),
        ("transaction_id", "\"Txn ID\""),
        ("description", "\"Memo\""),
    ];
    let answer = app.post_form(&path, &answers).await;
    // The redirect was followed.
    assert_eq!(answer.url().path(), format!("/jobs/{id}"));
    let job = app.finished(id.as_i64().unwrap()).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(
        read(&app, &job).await,
        [json!(["T1", 10.00, "2025-01-01", []])]
    );
    let page = app.page(&format!("/jobs/{id}")).await;
    assert!(
        page.contains("How we read your file") && page.contains("as you said"),
        "{page}"
    );
}

#[tokio::test]
async fn the_rows_of_a_long_file_prove_its_format_from_anywhere() {
    let app = TestApp::start().await;
    let mut file = "Nr;Betrag;Datum\n".to_owned();
    for row in 0..100_000 {
        file += &format!("{row};1.000;{:02}/{:02}/2024\n", row % 12 + 1, row % 11 + 1);
    }
    let columns = json!({ "transaction_id": "Nr", "amount": "Betrag", "date": "Datum" });
    let answers = json!({ "columns": columns });
    let job = app.process(file.clone()).await;
    let asked = retried(&app, &job, answers.clone()).await;
    assert_eq!(keys(&asked), ["date_order", "decimal"]);

    file += "last;7,5;25/12/2024\n";
    let job = app.process(file).await;
    let job = retried(&app, &job, answers).await;
    assert_eq!(job["valid_records"], 100_001, "{job}");
    let decisions = job["decisions"].as_array().unwrap();
    for (key, value) in [("decimal", ","), ("date_order", "dmy")] {
        let decision = decisions.iter().find(|it| it["key"] == key).unwrap();
        assert_eq!(
            (&decision["value"], &decision["row"]),
            (&json!(value), &json!(100_001))
        );
    }
    let (rows, _) = app.rows(&job["id"], "row=2&size=2").await;
    assert_eq!(
        (&rows[0]["amount"], &rows[0]["date"]),
        (&json!(1000), &json!("2024-01-01"))
    );
}

#[tokio::test]
async fn a_dry_run_agrees_with_the_job_and_stores_nothing() {
    let app = TestApp::start().await;
    let check = async |file: &[u8], format: &str| {
        let form = reqwest::multipart::Form::new()
            .text("format", format.to_owned())
            .part(
                "file",
                reqwest::multipart::Part::bytes(file.to_vec()).file_name("a.csv"),
            );
        app.post_multipart("/check", form).await
    };
    for (file, format) in [
        (
            "transaction_id,amount,date\nA,1,2024-01-01\nA,x,2024-01-32\n,1,\n",
            "{}",
        ),
        (
            "transaction_id,amount,date\nA,\"1,5\",13/04/2024\nB,2,01/02/2024\n",
            "{}",
        ),
        ("transaction_id,amount,date\nA,1.234,03/04/2024\n", ""),
        (
            "Txn,Value,When\nA,1,2024-01-01\n",
            r#"{"columns":{"amount":"Value"}}"#,
        ),
        ("%PDF-1.4\n", "{}"),
        ("", "{}"),
    ] {
        let answer = expect(check(file.as_bytes(), format).await, StatusCode::OK).await;
        let user = app.user().await;
        let id = app.upload(user, file).await;
        let path = format!("/jobs/{id}/start");
        let format: Value = serde_json::from_str(format).unwrap_or(json!({}));
        app.post_json(&path, &json!({ "format": format })).await;
        let job = app.finished(id).await;
        for key in [
            "error",
            "error_code",
            "questions",
            "decisions",
            "format",
            "total_records",
            "valid_records",
            "invalid_records",
            "suspicious_records",
            "ignored_records",
        ] {
            assert_eq!(answer[key], job[key], "{key} of {file:?}");
        }
        if job["status"] == "completed" {
            let report = app.get_json(&format!("/jobs/{id}/report")).await;
            assert_eq!(answer["problems"], report["problems"], "{file:?}");
        }
    }
    assert_eq!(app.stored_files().len(), 6);
    let gzip = b"\x1f\x8b\x08\x00";
    expect(check(gzip, "").await, StatusCode::UNPROCESSABLE_ENTITY).await;
    expect(
        check(b"a", r#"{"x":1}"#).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    expect(
        check(&vec![b'a'; 17 << 20], "").await,
        StatusCode::PAYLOAD_TOO_LARGE,
    )
    .await;
}

#[tokio::test]
async fn archives_and_workbooks_are_unpacked() {
    let app = TestApp::start().await;
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../container/tests/cases");
    let sample = |name: &str| std::fs::read(format!("{cases}/{name}")).unwrap();
    let job = app.process(sample("133-compressed.zip")).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert!(job["total_records"].as_u64() > Some(0), "{job}");
    let (rows, total) = app.rows(&job["id"], "size=1").await;
    assert_eq!((rows.len() as u64, total > 0), (1, true));
    let csv = app.get(&format!("/jobs/{}/results.csv", job["id"])).await;
    assert!(csv.text().await.unwrap().contains("row_number"));
    for (name, code) in [
        ("134-statement.pdf", "file.pdf"),
        ("136-camt.xml", "file.xml"),
        ("137-json.json", "file.json"),
    ] {
        let job = app.process(sample(name)).await;
        assert_eq!(
            (&job["status"], &job["error_code"]),
            (&json!("failed"), &json!(code))
        );
        let error = job["error"].as_str().unwrap();
        assert!(error.starts_with("This is "), "{error}");
    }
    // Deleting a job also removes its text and its index.
    assert_eq!(app.stored_files().len(), 6);
    app.delete(&format!("/jobs/{}", job["id"])).await;
    crate::harness::eventually("the files to go", async || {
        (app.stored_files().len() == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_repeated_file_is_reported() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.user().await, app.user().await);
    let file = "transaction_id,amount,date\nA,1,2024-01-01\n";
    let first = app.upload(ann, file).await;
    let [again, other, of_bob] = [
        app.upload(ann, file).await,
        app.upload(ann, format!("{file}\n")).await,
        app.upload(bob, file).await,
    ];
    for (job, same) in [
        (first, None),
        (again, Some(first)),
        (other, None),
        (of_bob, None),
    ] {
        assert_eq!(
            app.get_json(&format!("/jobs/{job}")).await["same_file_as"],
            json!(same)
        );
    }
    let page = app.page(&format!("/jobs/{again}")).await;
    assert!(page.contains(&format!("href=\"/jobs/{first}\"")), "{page}");
}

#[tokio::test]
async fn questions_about_a_file_with_nuls_can_be_stored() {
    let app = TestApp::start().await;
    let header = b"transaction_id,amount,date,note\n";
    let with_header = |rows: &[u8]| [&header[..], rows].concat();
    for (file, code, shown) in [
        (
            b"Betrag;Datum;Text\n1,50;01.02.2024;a\0b\n".to_vec(),
            "format.columns",
            "a\u{FFFD}b",
        ),
        // The suggested header.
        (
            b"x\nBe\0trag;Datum;Text\n1,50;01.02.2024;a\n2,50;02.02.2024;b\n".to_vec(),
            "format.columns",
            "Be\u{FFFD}trag",
        ),
        (
            b"T1,1.5,2024-01-02\nT2,1.5,2024-01-03,\0\n".to_vec(),
            "format.columns",
            "\u{FFFD}",
        ),
        (
            with_header(b"T1,1,2024-01-02,\xFC\0\n"),
            "format.encoding",
            "\u{FC}\u{FFFD}",
        ),
        (
            b"a,b\xFC\n1,\0\xFC\n".to_vec(),
            "format.encoding",
            "\u{FFFD}\u{FC}",
        ),
        (
            with_header(b"T1,1,2024-01-02,\0,a\nT2,1,2024-01-02,,a\n"),
            "format.fields",
            "5 fields",
        ),
        (
            with_header(b"T1,1,03/04/2024,\0\nT2,1,05/06/2024,\n"),
            "format.date_order",
            "5 June 2024",
        ),
        (
            with_header(b"T1,1.234,2024-01-02,\0\nT2,1.567,2024-01-02,\n"),
            "format.decimal",
            "1567",
        ),
    ] {
        let job = app.process(file.clone()).await;
        let text = String::from_utf8_lossy(&file).into_owned();
        assert_eq!(job["error_code"], code, "{text:?}: {job}");
        let questions = job["questions"].to_string();
        assert!(questions.contains(shown), "{text:?}: {questions}");
        let form = reqwest::multipart::Form::new()
            .part("file", reqwest::multipart::Part::bytes(file).file_name("a"));
        let dry_run = app.post_multipart("/check", form).await;
        let dry_run = expect(dry_run, StatusCode::OK).await;
        assert_eq!(dry_run["questions"], job["questions"], "{text:?}");
    }
}
