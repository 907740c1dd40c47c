//! Files of many kinds, from the upload to the verdicts.

use serde_json::{Value, json};

use crate::harness::{SAMPLE, TestApp};

/// Returns for each row the codes of its errors, and whether it is suspicious.
async fn verdicts(app: &TestApp, job: &Value) -> Vec<(Vec<String>, bool)> {
    let rows = app
        .get_json(&format!("/jobs/{}/transactions?size=1000", job["id"]))
        .await;
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let errors = row["errors"].as_array().unwrap();
            let codes: Vec<_> = errors
                .iter()
                .map(|error| error["code"].as_str().unwrap().to_owned())
                .collect();
            for (error, code) in errors.iter().zip(&codes) {
                assert_eq!(error["field"], code.split('.').next().unwrap());
            }
            let messages: Vec<_> = errors
                .iter()
                .map(|error| error["message"].as_str().unwrap())
                .collect();
            let joined = (!messages.is_empty()).then(|| messages.join("; "));
            assert_eq!(row["error_message"], json!(joined));
            assert_eq!(row["is_valid"], codes.is_empty());
            (codes, row["is_suspicious"].as_bool().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn every_error_code_is_reported_in_the_order_of_the_rules() {
    let app = TestApp::start().await;
    let mut file = b"transaction_id,amount,date,description\n".to_vec();
    let mut expected: Vec<(&[&str], bool)> = Vec::new();
    let mut row = |bytes: &[u8], codes: &'static [&'static str], suspicious: bool| {
        file.extend_from_slice(bytes);
        file.push(b'\n');
        expected.push((codes, suspicious));
    };
    let long = [b"L,1,2024-01-01,", &vec![b'x'; 1 << 20][..]].concat();
    row(&long, &["row.too_large"], false);
    row(b"E,-1,2024-01-01,\xff", &["row.encoding"], false);
    row(b"C,-1,2024-01-01", &["row.column_count"], false);
    row(b" ,1,2024-01-01,x", &["transaction_id.missing"], false);
    let long = [&vec![b'i'; 256][..], b",1,2024-01-01,x"].concat();
    row(&long, &["transaction_id.too_long"], false);
    // A single character in UTF-8 proves that the file is UTF-8.
    row("A,60000,2024-01-01,ü".as_bytes(), &[], true);
    row(b"A,-100,2024-01-01,x", &["transaction_id.duplicate"], true);
    row(b"B,,2024-01-01,x", &["amount.missing"], false);
    row(b"D,12 EURO,2024-01-01,x", &["amount.not_a_number"], false);
    row(b"F,1e100,2024-01-01,x", &["amount.out_of_range"], false);
    row(b"G,1,,x", &["date.missing"], false);
    row(b"H,1,1/2,x", &["date.not_a_date"], false);
    row(b"I,1,2024-02-30,x", &["date.out_of_range"], false);
    row(
        b"A,abc,tomorrow,\"several, at once\"",
        &[
            "transaction_id.duplicate",
            "amount.not_a_number",
            "date.not_a_date",
        ],
        false,
    );
    row(b",-5,,", &["transaction_id.missing", "date.missing"], true);

    let expected: Vec<(Vec<String>, bool)> = expected
        .into_iter()
        .map(|(codes, suspicious)| (codes.iter().map(ToString::to_string).collect(), suspicious))
        .collect();
    let job = app.process(file).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(verdicts(&app, &job).await, expected);
    let count =
        |test: fn(&(Vec<String>, bool)) -> bool| expected.iter().filter(|row| test(row)).count();
    assert_eq!(job["total_records"], expected.len());
    assert_eq!(job["valid_records"], count(|(codes, _)| codes.is_empty()));
    assert_eq!(
        job["invalid_records"],
        count(|(codes, _)| !codes.is_empty())
    );
    assert_eq!(
        job["suspicious_records"],
        count(|(_, suspicious)| *suspicious)
    );
}

#[tokio::test]
async fn a_timestamp_column_is_the_date() {
    let app = TestApp::start().await;
    let job = app
        .process(
            "transaction_id,user_id,amount,timestamp\n\
             T1,7,60000,2025-01-01T10:00:00\n\
             T2,7,-100,2025-01-01T10:00:00\n\
             T3,7,100,2025-01-01T10:00:00\n",
        )
        .await;
    assert_eq!(
        (&job["valid_records"], &job["suspicious_records"]),
        (&json!(3), &json!(2))
    );
    let rows = app
        .get_json(&format!("/jobs/{}/transactions", job["id"]))
        .await;
    assert_eq!(rows[0]["date"], "2025-01-01");
    assert_eq!(rows[0]["description"], Value::Null);
    assert_eq!(
        verdicts(&app, &job)
            .await
            .iter()
            .map(|(_, suspicious)| *suspicious)
            .collect::<Vec<_>>(),
        [true, true, false]
    );
}

#[tokio::test]
async fn a_file_that_is_not_csv_fails_with_a_sentence_and_is_kept() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0".to_vec();
    for (file, words) in [
        (png, vec!["image (PNG)"]),
        (b"".to_vec(), vec!["empty"]),
        (b"\n\n\n".to_vec(), vec!["empty lines", "amount"]),
        (
            b"transaction_id,date\nT1,2024-01-01\n".to_vec(),
            vec!["amount"],
        ),
        (
            b"amount,Amount,transaction_id,date\n1,1,T1,2024-01-01\n".to_vec(),
            vec!["amount", "Two columns"],
        ),
    ] {
        let job_id = app.upload(user_id, file.clone()).await;
        app.begin(job_id).await;
        let job = app.finished(job_id).await;
        assert_eq!(job["status"], "failed", "{job}");
        let error = job["error"].as_str().unwrap();
        for word in words {
            assert!(error.contains(word), "{word:?} in {error:?}");
        }
        assert!(
            error.ends_with('.') && !error.contains("::"),
            "a sentence: {error}"
        );
        assert_eq!(job["bytes"], file.len());
    }
    assert_eq!(app.stored_files().len(), 5);
    let job_id = app.upload(user_id, SAMPLE).await;
    app.begin(job_id).await;
    assert_eq!(app.finished(job_id).await["valid_records"], 4);
}

#[tokio::test]
async fn a_header_without_rows_completes() {
    let app = TestApp::start().await;
    let job = app.process("transaction_id,amount,date\n").await;
    assert_eq!(
        (&job["status"], &job["total_records"]),
        (&json!("completed"), &json!(0))
    );
    assert_eq!(job["progress_percent"], 100.0);
    assert_eq!(verdicts(&app, &job).await, []);
}

#[tokio::test]
async fn values_are_returned_as_in_the_file() {
    let app = TestApp::start().await;
    let text = "\u{feff}Transaction-ID;Amount;Date;Description\r\n\
                \"a\"\"b\";1.50e1;20240229;\"two\nlines; <b>\"\r\n\
                ü;-0.0000000001;2024/01/31 23:59:59.5Z; spaces \r\n";
    for file in [
        text.as_bytes().to_vec(),
        text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ] {
        let job = app.process(file).await;
        let rows = app.rows_as_text(&job["id"]).await;
        assert_eq!(
            rows,
            concat!(
                r#"[{"row_number":1,"line":2,"transaction_id":"a\"b","amount":15.0,"date":"2024-02-29","#,
                r#""description":"two\nlines; <b>","is_valid":true,"is_suspicious":false,"errors":[],"error_message":null},"#,
                r#"{"row_number":2,"line":4,"transaction_id":"ü","amount":-0.0000000001,"date":"2024-01-31","#,
                r#""description":" spaces ","is_valid":true,"is_suspicious":true,"errors":[],"error_message":null}]"#,
            )
        );
    }
}
