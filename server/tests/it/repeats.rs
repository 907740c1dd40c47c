//! Forms that are sent twice. Without JavaScript, a browser does so after a double click. It drops the first request, and
//! shows the response to the second.

use reqwest::{Method, Response, StatusCode};

use crate::people::{Accounts, By, link_in, location, password_of, session_in};

impl Accounts {
    /// Sends a form that waits until it is dropped, and then twice again. Returns the last two responses.
    async fn form_again(&self, path: &str, fields: &[(&str, &str)], by: &By) -> [Response; 2] {
        let mut locked = self.app.pool.begin().await.unwrap();
        // Every change adds an event.
        sqlx::query("lock table audit_events in exclusive mode")
            .execute(&mut *locked)
            .await
            .unwrap();
        tokio::select! {
            _ = self.form(path, fields, by) => panic!("the table is locked"),
            () = self.app.waiting("relation", 1) => {}
        }
        let second = self.form(path, fields, by);
        let (second, ()) = tokio::join!(second, async { locked.rollback().await.unwrap() });
        [second, self.form(path, fields, by).await]
    }

    async fn counted(&self, sql: &str) -> i64 {
        let counted = sqlx::query_scalar(sql).fetch_one(&self.app.pool);
        counted.await.unwrap()
    }
}

/// Returns the page in two equal responses to a form that has created something.
async fn created([second, third]: [Response; 2]) -> String {
    assert_eq!(second.status(), StatusCode::CREATED);
    assert_eq!(third.status(), StatusCode::CREATED);
    let page = second.text().await.unwrap();
    let same = third.text().await.unwrap() == page;
    assert!(same, "{page}");
    page
}

#[tokio::test]
async fn one_token_is_created() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let ben = accounts.member("ben").await;
    let by = By::from(&ann);
    let fields = [("name", "nightly"), ("scope", "read"), ("days", "7")];
    let page = created(accounts.form_again("/account/tokens", &fields, &by).await).await;
    let tokens = "select count(*) from api_tokens";
    assert_eq!(accounts.counted(tokens).await, 1);

    // Nobody else gets the response: not with another session, another token, or none at all.
    let own = page[page.find("bl_").unwrap()..].split('<').next().unwrap();
    for other in [
        By::from(&ben),
        By::Session("invented".to_owned()),
        By::Nobody,
    ] {
        let other = accounts.form("/account/tokens", &fields, &other).await;
        let page = other.text().await.unwrap();
        assert!(!page.contains(own), "{page}");
    }
    let url = format!("{}/account/tokens", accounts.app.web);
    let refused = accounts
        .request(Method::POST, url, &By::Token("bl_invented".to_owned()))
        .header("cookie", format!("session={}", ann.session))
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("name=nightly&scope=read&days=7");
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(accounts.counted(tokens).await, 2);
    // Another form of the same person is another one.
    let another = [("name", "weekly"), ("scope", "read"), ("days", "7")];
    accounts.form("/account/tokens", &another, &by).await;
    assert_eq!(accounts.counted(tokens).await, 3);
}

#[tokio::test]
async fn the_link_of_a_new_user_is_shown() {
    let accounts = Accounts::start().await;
    let by = By::from(&accounts.admin);
    let fields = [("name", "Eve"), ("email", "eve@example.com")];
    let page = created(accounts.form_again("/accounts", &fields, &by).await).await;
    link_in(&page);
}

#[tokio::test]
async fn one_demonstration_is_created() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let id = ann.id.to_string();
    let fields = [("user_id", &*id)];
    let path = "/rpc/create-demo-job";
    let [second, third] = accounts.form_again(path, &fields, &By::from(&ann)).await;
    assert_eq!(location(&second), location(&third));
    assert_eq!(accounts.counted("select count(*) from jobs").await, 1);
}

/// The first response has the only secret with which the session goes on.
#[tokio::test]
async fn a_session_goes_on_with_the_new_password() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let password = password_of(&ann.email);
    let fields = [
        ("current_password", &*password),
        ("new_password", "quite an odd phrase"),
    ];
    let path = "/account/password";
    let [second, third] = accounts.form_again(path, &fields, &By::from(&ann)).await;
    assert_eq!(location(&second), "/account?after=password");
    assert_eq!(location(&third), "/account?after=password");
    assert_eq!(session_in(&second), session_in(&third));
    assert!(accounts.is_signed_in(&session_in(&second)).await);
    assert!(!accounts.is_signed_in(&ann.session).await);
}

/// Whoever corrects the cause sends the same form again.
#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let quotas = async |max_bytes: Option<u64>| {
        let path = format!("/users/{}/quotas", ann.id);
        let admin = By::from(&accounts.admin);
        let request = accounts.api(Method::PATCH, &path, &admin);
        let set = request
            .json(&serde_json::json!({"bytes": max_bytes}))
            .send();
        assert_eq!(set.await.unwrap().status(), StatusCode::OK);
    };
    let demo = async || {
        let url = format!("{}/rpc/create-demo-job", accounts.app.web);
        let page = format!("{}/users/{}", accounts.app.web, ann.id);
        let request = accounts
            .request(Method::POST, url, &By::from(&ann))
            .header("accept", "text/html")
            .header("referer", page)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("user_id={}", ann.id));
        location(&request.send().await.unwrap())
    };
    quotas(Some(1)).await;
    assert_eq!(demo().await, format!("/users/{}", ann.id));
    quotas(None).await;
    let job = demo().await;
    assert!(job.starts_with("/jobs/"), "{job}");
    assert_eq!(demo().await, job);
}
