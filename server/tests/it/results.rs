//! Downloads of results.

use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
use reqwest::StatusCode;
use serde_json::json;
use testkit::{Error, Transactions};

use crate::harness::{SAMPLE, TestApp, generated, problem};

#[tokio::test]
async fn the_result_is_the_file_with_the_verdicts() {
    let app = TestApp::start().await;
    let job = app
        .process(
            "Date;transaction_id;Amount;note\n\
             2024-01-15;T1;150.00;=1+1\n\
             ;T1;-5;\"two\nlines, and a comma\"\n\
             2024-01-17;T2;x\n",
        )
        .await;
    let path = format!("/jobs/{}/results.csv", job["id"]);
    let response = app.get(&path).await;
    assert_eq!(
        response.headers()["content-type"],
        "text/csv; charset=utf-8"
    );
    assert_eq!(
        response.headers()["content-disposition"],
        "attachment; filename*=UTF-8''payments%2Dall%2Ecsv"
    );
    let header = "Date,transaction_id,Amount,note,row_number,line,is_valid,is_suspicious,errors,error_message\r\n";
    let all = response.text().await.unwrap();
    let rest = all.strip_prefix(header).unwrap();
    let first = "2024-01-15,T1,150.00,'=1+1,1,2,true,false,,\r\n";
    assert!(rest.starts_with(first), "{rest}");
    let second =
        ",T1,-5,\"two\nlines, and a comma\",2,3,false,true,transaction_id.duplicate;date.missing,";
    assert!(rest[first.len()..].starts_with(second), "{rest}");
    assert!(
        rest.contains("2024-01-17,T2,x,,3,5,false,false,row.column_count,"),
        "{rest}"
    );

    let only = async |filter: &str| {
        let response = app.get(&format!("{path}?filter={filter}")).await;
        let text = response.text().await.unwrap();
        text.strip_prefix(header).unwrap().to_owned()
    };
    assert_eq!(only("valid").await, first);
    assert_eq!(first.to_owned() + &only("invalid").await, rest);
    assert!(only("suspicious").await.starts_with(second));
}

/// The file is removed a moment after the job. A request in between doesn't hint at a damaged storage.
#[tokio::test]
async fn the_rows_of_a_job_that_is_deleted_meanwhile_are_not_found() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(app.process_for(user_id, SAMPLE).await);
    }
    // Its maintenance would wait, too.
    app.stop_worker();
    let requests = [
        ("results.xlsx", StatusCode::NOT_FOUND),
        ("results.csv", StatusCode::NOT_FOUND),
        ("transactions", StatusCode::CONFLICT),
    ];
    for (job_id, (what, status)) in jobs.into_iter().zip(requests) {
        let mut tx = app.pool.begin().await.unwrap();
        sqlx::raw_sql("lock table job_chunks in access exclusive mode")
            .execute(&mut *tx)
            .await
            .unwrap();
        let path = format!("/jobs/{job_id}/{what}");
        let delete = async {
            app.waiting("relation", 1).await;
            let key: String =
                sqlx::query_scalar("delete from jobs where id = $1 returning storage_key")
                    .bind(job_id)
                    .fetch_one(&mut *tx)
                    .await
                    .unwrap();
            std::fs::remove_file(app.stored_files_directory().join(key)).unwrap();
            tx.commit().await.unwrap();
        };
        let (response, ()) = tokio::join!(app.get(&path), delete);
        problem(response, status).await;
    }
    let errors = app
        .printed()
        .into_iter()
        .filter(|line| line.contains("ERROR"));
    assert_eq!(errors.collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn a_long_result_streams_every_row() {
    let app = TestApp::start().await;
    let file = Transactions::new(100_000)
        .invalid_every(1000, &[Error::DateNotADate])
        .with_description("x");
    let job = app.process(file.text()).await;
    assert!(
        job["total_batches"].as_u64() > Some(1),
        "several chunks: {job}"
    );
    let path = format!("/jobs/{}/results.csv", job["id"]);
    let numbers = async |filter: &str| -> Vec<u64> {
        let text = app
            .get(&format!("{path}?filter={filter}"))
            .await
            .text()
            .await
            .unwrap();
        let rows = text.lines().skip(1);
        rows.map(|row| row.split(',').nth(4).unwrap().parse().unwrap())
            .collect()
    };
    assert_eq!(numbers("all").await, (1..=100_000).collect::<Vec<_>>());
    assert_eq!(
        numbers("invalid").await,
        (1..=100).map(|row| row * 1000).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn results_do_not_exist_before_the_end() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    let pending = app.get(&format!("/jobs/{job_id}/results.csv")).await;
    let detail = problem(pending, StatusCode::CONFLICT).await;
    assert!(detail.contains("over; it is pending"), "{detail}");
    let workbook = app.get(&format!("/jobs/{job_id}/results.xlsx")).await;
    problem(workbook, StatusCode::CONFLICT).await;
    problem(app.get("/jobs/0/results.csv").await, StatusCode::NOT_FOUND).await;
    let wrong = app
        .get(&format!("/jobs/{job_id}/results.csv?filter=x"))
        .await;
    problem(wrong, StatusCode::UNPROCESSABLE_ENTITY).await;
}

#[tokio::test]
async fn a_cancelled_job_returns_the_checked_rows() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, generated(600_000).0).await;
    app.slow_down().await;
    app.begin(job_id).await;
    app.under_way(job_id).await;
    let running = app.get(&format!("/jobs/{job_id}/results.csv")).await;
    problem(running, StatusCode::CONFLICT).await;
    app.command(job_id, "cancel").await;
    let job = app.get_json(&format!("/jobs/{job_id}")).await;
    let (checked, total) = (&job["processed_records"], &job["total_records"]);
    assert!(0 < checked.as_u64().unwrap() && checked.as_u64() < total.as_u64());
    let csv = app.get(&format!("/jobs/{job_id}/results.csv")).await;
    let csv = csv.text().await.unwrap();
    assert_eq!(&json!(csv.lines().count() - 1), checked);
}

const GERMAN: &str = "transaction_id;amount;date;Zweck\n\
                      =A;1.234,50;31.01.2024;Müller, Köln\n\
                      B;-0,5;01.02.2024;x;=1+1\n\
                      C;12345678901234567,8;01.01.1899;\n";

#[tokio::test]
async fn csv_for_spreadsheets_uses_the_format_of_the_file() {
    let app = TestApp::start().await;
    let job = app.process(GERMAN).await;
    let path = format!("/jobs/{}/results.csv", job["id"]);
    let text = app
        .get(&format!("{path}?excel&filter=valid"))
        .await
        .text()
        .await;
    let text = text.unwrap();
    let mut lines = text.strip_prefix('\u{FEFF}').unwrap().lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("transaction_id;amount;date;Zweck;row_number;")
    );
    assert_eq!(
        lines.next(),
        Some("'=A;1.234,50;31.01.2024;Müller, Köln;1;2;true;false;;;1234,50;2024-01-31")
    );
    assert_eq!(
        app.get(&format!("{path}?excel=true&filter=valid"))
            .await
            .text()
            .await
            .unwrap(),
        text
    );
    let wrong = app.get(&format!("{path}?excel=maybe")).await;
    problem(wrong, StatusCode::UNPROCESSABLE_ENTITY).await;
    // The download can be uploaded again.
    let again = app.process(text).await;
    assert_eq!(again["valid_records"], 2, "{again}");
    let (rows, _) = app.rows(&again["id"], "filter=valid").await;
    assert_eq!(rows[0]["transaction_id"], "=A");
    assert_eq!(rows[0]["amount"], 1234.5);
}

#[tokio::test]
async fn a_workbook_has_numbers_and_dates_and_can_be_uploaded_again() {
    let app = TestApp::start().await;
    let job = app.process(GERMAN).await;
    let response = app.get(&format!("/jobs/{}/results.xlsx", job["id"])).await;
    assert_eq!(
        response.headers()["content-disposition"],
        "attachment; filename*=UTF-8''payments%2Dall%2Exlsx"
    );
    let bytes = response.bytes().await.unwrap();
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes.clone())).unwrap();
    let sheet = workbook.worksheet_range("Results").unwrap();
    let rows: Vec<&[Data]> = sheet.rows().collect();
    let text = |text: &str| Data::String(text.to_owned());
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0][11], text("date_read"));
    assert_eq!(
        rows[1][..4],
        ["'=A", "1.234,50", "31.01.2024", "Müller, Köln"].map(text)
    );
    assert_eq!(
        rows[1][4..7],
        [Data::Float(1.0), Data::Float(2.0), Data::Bool(true)]
    );
    assert_eq!(rows[1][10], Data::Float(1234.5));
    let Data::DateTime(date) = rows[1][11] else {
        panic!("{:?}", rows[1][11]);
    };
    assert_eq!(date.to_ymd_hms_milli(), (2024, 1, 31, 0, 0, 0, 0));
    assert_eq!(rows[2][12], text("'=1+1"));
    // More digits, and an earlier day, than a spreadsheet supports.
    assert_eq!(
        rows[3][10..12],
        ["12345678901234567.8", "1899-01-01"].map(text)
    );

    let again = app.process(bytes.to_vec()).await;
    assert_eq!(
        (&again["valid_records"], &again["invalid_records"]),
        (&job["valid_records"], &job["invalid_records"]),
        "{again}"
    );
    let (rows, _) = app.rows(&again["id"], "").await;
    assert_eq!(rows[0]["transaction_id"], "=A");
    let csv = app.get(&format!("/jobs/{}/results.csv", again["id"])).await;
    let csv = csv.text().await.unwrap();
    assert!(csv.contains(",12345678901234567.8,1899-01-01,"), "{csv}");
}

#[tokio::test]
async fn rows_that_exceed_a_worksheet_are_refused_with_a_sentence() {
    let app = TestApp::start().await;
    let long = "x".repeat(32_768);
    let file = format!("transaction_id,amount,date,note\nA,1,2024-01-01,{long}\nB,x,2024-01-01,\n");
    let job = app.process(file).await;
    let path = format!("/jobs/{}/results.xlsx", job["id"]);
    let detail = problem(app.get(&path).await, StatusCode::CONFLICT).await;
    assert!(detail.contains("32767 characters"), "{detail}");
    let fits = app.get(&format!("{path}?filter=invalid")).await;
    assert_eq!(fits.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_workbook_keeps_all_characters_that_xml_can_represent() {
    let app = TestApp::start().await;
    let odd = "a\u{1}\u{8}\u{B}\u{1F}b\u{7F}\u{FFFE}\u{FFFF}é𠀀 _x0041_ <&>\" ";
    let quoted = odd.replace('"', "\"\"");
    let file = format!("transaction_id,amount,date,note\nA,1,2024-01-01,\"{quoted}\"\n");
    let job = app.process(file).await;
    let response = app.get(&format!("/jobs/{}/results.xlsx", job["id"])).await;
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(response.bytes().await.unwrap())).unwrap();
    let sheet = workbook.worksheet_range("Results").unwrap();
    let read = sheet.get_value((1, 3)).unwrap().to_string();
    let shown = odd.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}");
    assert_eq!(read, shown);
}
