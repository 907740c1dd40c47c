use reqwest::StatusCode;

use crate::harness::{SAMPLE, TestApp, problem};

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

#[tokio::test]
async fn a_long_result_streams_every_row() {
    let app = TestApp::start().await;
    let mut file = "transaction_id,amount,date\n".to_owned();
    for row in 1..=100_000 {
        let date = if row % 1000 == 0 {
            "never"
        } else {
            "2024-01-01"
        };
        file += &format!("T{row},1,{date}\n");
    }
    let job = app.process(file).await;
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
        rows.map(|row| row.split(',').nth(3).unwrap().parse().unwrap())
            .collect()
    };
    assert_eq!(numbers("all").await, (1..=100_000).collect::<Vec<_>>());
    assert_eq!(
        numbers("invalid").await,
        (1..=100).map(|row| row * 1000).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn there_is_no_result_before_the_end() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    let pending = app.get(&format!("/jobs/{job_id}/results.csv")).await;
    let detail = problem(pending, StatusCode::CONFLICT).await;
    assert!(detail.contains("completed; it is pending"), "{detail}");
    problem(app.get("/jobs/0/results.csv").await, StatusCode::NOT_FOUND).await;
    let wrong = app
        .get(&format!("/jobs/{job_id}/results.csv?filter=x"))
        .await;
    problem(wrong, StatusCode::UNPROCESSABLE_ENTITY).await;
}
