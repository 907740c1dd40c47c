//! Lists of all jobs and of a user's jobs, as data and as pages, and commands for several jobs.

use std::time::{Duration, Instant};

use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, REFERER, SET_COOKIE},
    redirect::Policy,
};
use serde_json::{Value, json};

use crate::harness::{SAMPLE, Socket, TestApp, eventually, expect, problem};

/// Creates two users with three jobs each: one completed with invalid rows, one failed, one pending.
async fn six_jobs(app: &TestApp) -> ([i64; 2], Vec<i64>) {
    let mut jobs = Vec::new();
    let mut users = [0; 2];
    for (user, name) in users.iter_mut().zip(["Zoë", "bob"]) {
        let body = json!({"name": name, "email": format!("{name}@example.com").replace('ë', "e")});
        let created = expect(app.post_json("/users", &body).await, StatusCode::CREATED).await;
        *user = created["id"].as_i64().unwrap();
        for (file, content) in [
            (
                "Mixed",
                "transaction_id,amount,date\nA,1,2024-01-01\nB,x,2024-01-01\n",
            ),
            ("broken", "no,header\n"),
            ("waiting", SAMPLE),
        ] {
            let filename = format!("{file} of {name}.csv");
            let uploaded = app.upload_response(*user, &filename, content.into()).await;
            let uploaded = expect(uploaded, StatusCode::CREATED).await;
            let id = uploaded["id"].as_i64().unwrap();
            if file != "waiting" {
                app.begin(id).await;
                app.finished(id).await;
            }
            jobs.push(id);
        }
    }
    (users, jobs)
}

async fn ids(app: &TestApp, query: &str) -> (Vec<i64>, String) {
    let response = app.get(&format!("/jobs?{query}")).await;
    assert_eq!(response.status(), StatusCode::OK, "{query}");
    let total = response.headers()["x-total-count"]
        .to_str()
        .unwrap()
        .to_owned();
    let jobs: Vec<Value> = response.json().await.unwrap();
    let ids = jobs.iter().map(|job| job["id"].as_i64().unwrap());
    (ids.collect(), total)
}

#[tokio::test]
async fn jobs_are_filtered_searched_and_ordered() {
    let app = TestApp::start().await;
    let ([zoe, bob], jobs) = six_jobs(&app).await;
    let [z_mixed, z_broken, z_waiting, b_mixed, b_broken, b_waiting] = jobs[..] else {
        panic!("{jobs:?}")
    };
    let today: String = sqlx::query_scalar("select (now() at time zone 'utc')::date::text")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    for (query, expect) in [
        (
            "",
            vec![b_waiting, b_broken, b_mixed, z_waiting, z_broken, z_mixed],
        ),
        (
            "sort=created",
            vec![z_mixed, z_broken, z_waiting, b_mixed, b_broken, b_waiting],
        ),
        (
            "sort=filename",
            vec![b_broken, z_broken, b_mixed, z_mixed, b_waiting, z_waiting],
        ),
        (
            "sort=user",
            vec![b_waiting, b_broken, b_mixed, z_waiting, z_broken, z_mixed],
        ),
        ("sort=-user&status=pending", vec![z_waiting, b_waiting]),
        ("sort=-rows&size=2", vec![b_mixed, z_mixed]),
        ("sort=-invalid&size=2", vec![b_mixed, z_mixed]),
        ("status=failed", vec![b_broken, z_broken]),
        (
            &format!("user_id={zoe}"),
            vec![z_waiting, z_broken, z_mixed],
        ),
        (&format!("user_id={bob}&status=completed"), vec![b_mixed]),
        ("q=MIXED", vec![b_mixed, z_mixed]),
        // By the user's name and by their email address.
        ("q=Zo%C3%8B", vec![z_waiting, z_broken, z_mixed]),
        ("q=bob@", vec![b_waiting, b_broken, b_mixed]),
        ("q=100%25", vec![]),
        (
            &format!("from={today}&status=failed"),
            vec![b_broken, z_broken],
        ),
        ("until=2024-01-01", vec![]),
        ("q=mixed&status=failed", vec![]),
        ("page=2&size=4", vec![z_broken, z_mixed]),
        ("page=3&size=4", vec![]),
    ] {
        assert_eq!(ids(&app, query).await.0, expect, "{query}");
    }
    assert_eq!(ids(&app, "page=3&size=4").await.1, "6");
    assert_eq!(ids(&app, "q=mixed&size=1").await.1, "2");
    let detail = problem(
        app.get("/jobs?status=done&sort=size&from=x&user_id=ann&kind=1")
            .await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    for named in [
        "Status must be",
        "Sort must be",
        "from must be",
        "user_id must be",
        "\"kind\"",
    ] {
        assert!(detail.contains(named), "{detail}");
    }
}

/// Returns the numbers on the tabs of the list.
fn tallies(page: &str) -> Vec<&str> {
    let nav = page.split_once("Filter by status").unwrap().1;
    let nav = nav.split_once("</nav>").unwrap().0;
    nav.split("class=\"tally\">")
        .skip(1)
        .map(|rest| rest.split_once('<').unwrap().0)
        .collect()
}

#[tokio::test]
async fn counts_match_the_jobs_after_every_change() {
    let app = TestApp::start().await;
    let ([zoe, _], jobs) = six_jobs(&app).await;
    // All, processing, pending, completed and failed.
    assert_eq!(tallies(&app.page("/").await), ["6", "0", "2", "2", "2"]);
    let of_zoe = format!("/users/{zoe}");
    assert_eq!(tallies(&app.page(&of_zoe).await), ["3", "0", "1", "1", "1"]);
    // Under a search they are counted anew.
    let found = app.page("/?q=mixed").await;
    assert_eq!(tallies(&found), ["2", "0", "0", "2", "0"]);

    app.begin(jobs[2]).await;
    app.finished(jobs[2]).await;
    expect(
        app.delete(&format!("/jobs/{}", jobs[1])).await,
        StatusCode::NO_CONTENT,
    )
    .await;
    assert_eq!(tallies(&app.page("/").await), ["5", "0", "1", "3", "1"]);
    // The worker sums them up, which leaves one row per user and status.
    eventually("the counts to be summed up", async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from job_counts")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        (rows == 4).then_some(())
    })
    .await;
    assert_eq!(tallies(&app.page("/").await), ["5", "0", "1", "3", "1"]);
    expect(app.delete(&of_zoe).await, StatusCode::NO_CONTENT).await;
    assert_eq!(tallies(&app.page("/").await), ["3", "0", "1", "1", "1"]);
}

fn client() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap()
}

/// Posts the form of a list as a browser does.
async fn change(app: &TestApp, from: &str, fields: &str) -> Response {
    client()
        .post(format!("{}/jobs/commands", app.web))
        .header(ACCEPT, "text/html")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(REFERER, from)
        .body(fields.to_owned())
        .send()
        .await
        .unwrap()
}

/// Returns the notice on the page to which the response redirects. It is shown once.
async fn shown_notice(app: &TestApp, answer: &Response) -> String {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let to = format!(
        "{}{}",
        app.web,
        answer.headers()[LOCATION].to_str().unwrap()
    );
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.len() < 4096 && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    // A background update of the page, in this tab or another, doesn't consume the notice.
    let parts = client()
        .get(&to)
        .header(COOKIE, cookie)
        .header(app::PARTS_HEADER, "1")
        .send()
        .await
        .unwrap();
    assert!(parts.headers().get(SET_COOKIE).is_none());
    let page = client()
        .get(to)
        .header(COOKIE, cookie)
        .send()
        .await
        .unwrap();
    assert!(
        page.headers()[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    let page = page.text().await.unwrap();
    let notice = page.split_once("id=\"notice\"").unwrap().1;
    let notice = notice.split_once("<main").unwrap().0;
    let mut text = String::new();
    let mut is_tag = false;
    for character in notice.chars().skip_while(|character| *character != '>') {
        match character {
            '<' => is_tag = true,
            '>' => is_tag = false,
            character if !is_tag => text.push(character),
            _ => {}
        }
    }
    text.strip_suffix("Dismiss").unwrap_or(&text).to_owned()
}

#[tokio::test]
async fn bulk_commands_report_each_refusal() {
    let app = TestApp::start().await;
    let ([zoe, _], jobs) = six_jobs(&app).await;
    let home = format!("{}/?status=pending", app.web);
    let all = jobs
        .iter()
        .map(|id| format!("job={id}&"))
        .collect::<String>();

    let answer = change(&app, &home, &format!("{all}command=start")).await;
    assert_eq!(answer.headers()[LOCATION], "/?status=pending");
    let text = shown_notice(&app, &answer).await;
    assert!(
        text.starts_with("2 jobs were started. 2 jobs needed no change. 2 jobs were not started."),
        "{text}"
    );
    assert!(
        text.contains("broken of bob.csv: Only a pending job can be started; this one is failed."),
        "{text}"
    );
    for id in [jobs[2], jobs[5]] {
        assert_eq!(app.finished(id).await["status"], "completed");
    }
    let answer = change(&app, &home, &format!("job={}&command=cancel", jobs[0])).await;
    let text = shown_notice(&app, &answer).await;
    assert!(text.starts_with("No job was cancelled."), "{text}");
    // Pressing Enter in a checkbox sends no command.
    let answer = change(&app, &home, &format!("{all}command=none")).await;
    assert_eq!(answer.headers()[LOCATION], "/?status=pending");
    assert!(answer.headers().get(SET_COOKIE).is_none());
    let answer = change(&app, &home, "command=retry").await;
    assert_eq!(
        shown_notice(&app, &answer).await,
        "Select at least one job first."
    );
    let answer = change(&app, &home, &format!("job={}&command=destroy", jobs[0])).await;
    assert!(
        shown_notice(&app, &answer)
            .await
            .starts_with("Some fields didn't arrive, or more than 1,000 jobs")
    );
    // A job's own button commands only that job, whatever is selected.
    let answer = change(&app, &home, &format!("{all}one=retry+{}", jobs[1])).await;
    assert_eq!(
        shown_notice(&app, &answer).await,
        "broken of Zoë.csv was retried."
    );

    // The question before a deletion shows the number and the total size of the jobs, without deleted ones.
    let question = app.page(&format!("/jobs/delete?{all}job=999999")).await;
    assert!(question.contains("Delete 6 jobs?"), "{question}");
    let bytes: i64 = sqlx::query_scalar("select sum(bytes)::bigint from jobs")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert!(
        question.contains(&format!("6 jobs with their files ({bytes} bytes)")),
        "{question}"
    );
    let from = format!("from=/users/{zoe}?sort=rows&");
    let confirm = format!("{}/jobs/delete?{all}", app.web);
    let answer = change(&app, &confirm, &format!("{from}{all}command=delete")).await;
    assert_eq!(
        answer.headers()[LOCATION],
        format!("/users/{zoe}?sort=rows").as_str()
    );
    assert_eq!(shown_notice(&app, &answer).await, "6 jobs were deleted.");
    assert_eq!(ids(&app, "").await.1, "0");
    let answer = change(&app, &confirm, &format!("{from}{all}command=delete")).await;
    assert_eq!(
        shown_notice(&app, &answer).await,
        "No job was deleted. 6 jobs were already gone."
    );
    assert!(app.page("/jobs/delete").await.contains("Nothing to delete"));
    // A form redirects only to our own lists.
    for foreign in [
        "https://evil.example/",
        "//evil.example",
        "/jobs/1",
        "javascript:alert(1)",
        "/users/1/x",
    ] {
        let answer = change(&app, &confirm, &format!("from={foreign}&command=start")).await;
        assert_eq!(answer.headers()[LOCATION], "/", "{foreign}");
    }
}

#[tokio::test]
async fn the_socket_for_all_jobs_sends_at_most_one_message_a_second() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(&format!("{}/ws", app.api.replacen("http", "ws", 1))).await;
    socket.send("ping").await;
    assert_eq!(socket.text().await, "pong");
    let user_id = app.user().await;
    let changed = json!({"type": "jobs_changed"});
    let began = Instant::now();
    let mut told = 0_u32;
    for _ in 0..3 {
        let job_id = app.upload(user_id, SAMPLE).await;
        app.begin(job_id).await;
        app.finished(job_id).await;
        assert_eq!(socket.json().await, changed);
        told += 1;
    }
    assert!(began.elapsed() >= Duration::from_secs(1) * (told - 1));
    // A deletion counts as a change.
    let (ids, _) = ids(&app, "").await;
    expect(
        app.delete(&format!("/jobs/{}", ids[0])).await,
        StatusCode::NO_CONTENT,
    )
    .await;
    assert_eq!(socket.json().await, changed);
}
