//! Rendering of pages under load.

use futures::{StreamExt, stream};
use reqwest::StatusCode;

use crate::harness::{SAMPLE, TestApp};

/// Requests a page many times concurrently. Returns the title that all responses share.
async fn title_under_load(app: &TestApp, path: &str) -> String {
    let url = format!("{}{path}", app.web);
    let mut titles = stream::iter(0..400)
        .map(async |_| {
            let response = reqwest::get(&url).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{url}");
            let page = response.text().await.unwrap();
            let (title, _) = page.split_once("</title>").unwrap();
            title.rsplit_once('>').unwrap().1.to_owned()
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
    titles.dedup();
    assert_eq!(titles.len(), 1, "{titles:?}");
    titles.remove(0)
}

#[tokio::test]
async fn a_page_is_rendered_on_any_threads() {
    let app = TestApp::start().await;
    let job = app.process(SAMPLE).await;
    let title = title_under_load(&app, &format!("/jobs/{}", job["id"])).await;
    assert_eq!(title, "Completed · payments.csv · Batchline");
    let title = title_under_load(&app, &format!("/users/{}", job["user_id"])).await;
    assert_eq!(title, "Ann · Batchline");
}
