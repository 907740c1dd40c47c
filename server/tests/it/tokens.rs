//! API tokens.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::people::{Accounts, By, link_in};

#[tokio::test]
async fn a_token_is_shown_once_and_can_be_revoked() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    for (fields, sentence) in [
        (
            [("name", " "), ("scope", "read"), ("days", "7")],
            "Enter a name.",
        ),
        (
            [("name", "x"), ("scope", "all"), ("days", "7")],
            "Choose what the token may do.",
        ),
        (
            [("name", "x"), ("scope", "read"), ("days", "8")],
            "Choose how long",
        ),
    ] {
        let refused = accounts
            .form("/account/tokens", &fields, &By::from(&ann))
            .await;
        assert_eq!(refused.status(), 422);
        assert!(
            refused.text().await.unwrap().contains(sentence),
            "{sentence}"
        );
    }
    let token = accounts.token(&ann, "write").await;
    let page = async || {
        let page = accounts.page("/account", &By::from(&ann)).await;
        page.text().await.unwrap()
    };
    let shown = page().await;
    assert!(
        shown.contains(&token[..11]) && shown.contains("Never used"),
        "{shown}"
    );
    assert!(!shown.contains(&token), "{shown}");
    let stored: String = sqlx::query_scalar("select api_tokens::text from api_tokens")
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    assert!(!stored.contains(&token), "{stored}");

    let by = By::Token(token.clone());
    let users: Value = accounts.get("/users", &by).await.json().await.unwrap();
    assert_eq!(users[0]["id"], ann.id);
    assert!(!page().await.contains("Never used"));
    // A token takes precedence over a cookie, so that a program never acts as somebody else by mistake.
    let both = accounts
        .api(Method::GET, "/users", &By::Token("bl_invented".to_owned()))
        .header("cookie", format!("session={}", ann.session));
    assert_eq!(both.send().await.unwrap().status(), 401);
    // A token can't change how its owner signs in.
    for path in [
        "/account/tokens",
        "/account/end-other-sessions",
        "/sign-out",
    ] {
        let status = accounts.form(path, &[("name", "x")], &by).await.status();
        assert_eq!(status, 403, "{path}");
    }
    // The account's page is only for browsers.
    assert_eq!(accounts.page("/account", &by).await.status(), 403);

    // A user can't revoke another user's token.
    let ben = accounts.member("ben").await;
    let id: i64 = sqlx::query_scalar("select id from api_tokens")
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    let revoke = format!("/account/tokens/{id}/revoke");
    let refused = accounts.form(&revoke, &[], &By::from(&ben)).await;
    assert_eq!(refused.status(), 404);
    assert_eq!(accounts.get("/users", &by).await.status(), 200);
    accounts.form(&revoke, &[], &By::from(&ann)).await;
    assert_eq!(accounts.get("/users", &by).await.status(), 401);
    assert!(!page().await.contains(&token[..11]));
}

#[tokio::test]
async fn an_admin_token_cannot_manage_accounts() {
    let accounts = Accounts::start().await;
    let member = accounts.member("ann").await;
    let token = By::Token(accounts.token(&accounts.admin, "write").await);
    let of_member = |what: &str| format!("/users/{}/{what}", member.id);
    const FORBIDDEN: &str = "An API token can't change how somebody signs in";
    for (path, fields) in [
        (
            "/accounts".to_owned(),
            vec![("name", "Eve"), ("email", "eve@example.com")],
        ),
        (of_member("password-link"), vec![]),
        (of_member("end-access"), vec![]),
        (of_member("lock"), vec![]),
        (of_member("unlock"), vec![]),
        (of_member("role"), vec![("role", "admin")]),
    ] {
        let refused = accounts.form(&path, &fields, &token).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
        let page = refused.text().await.unwrap();
        assert!(page.contains(FORBIDDEN), "{page}");
    }
    // The address decides who signs in: a provider links a user by it, once.
    let user = format!("/users/{}", member.id);
    let change = async |change: Value, by: &By| {
        let request = accounts.api(Method::PATCH, &user, by).json(&change);
        request.send().await.unwrap()
    };
    let refused = change(json!({"email": "eve@example.com"}), &token).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.unwrap().contains(FORBIDDEN));
    for unchanged in [json!({"name": "Ann"}), json!({"email": member.email})] {
        assert_eq!(change(unchanged, &token).await.status(), StatusCode::OK);
    }
    // Users created with a token are new, so there is nothing of anybody's to take.
    let new = json!({"name": "Fay", "email": "fay@example.com"});
    let created = accounts.api(Method::POST, "/users", &token).json(&new);
    assert_eq!(created.send().await.unwrap().status(), StatusCode::CREATED);

    // In a session, a new address ends a link that was sent to the old one.
    let admin = By::from(&accounts.admin);
    let page = accounts
        .form(&of_member("password-link"), &[], &admin)
        .await;
    let link = link_in(&page.text().await.unwrap());
    let changed = change(json!({"email": "ann.b@example.com"}), &admin).await;
    assert_eq!(changed.status(), StatusCode::OK);
    let set = accounts.set_password(&link, "quite an odd phrase").await;
    assert_eq!(set.status(), StatusCode::NOT_FOUND);
    let audited: String = sqlx::query_scalar(
        "select detail from audit_events where kind = 'change_user' order by id desc limit 1",
    )
    .fetch_one(&accounts.app.pool)
    .await
    .unwrap();
    assert_eq!(audited, "from ann@example.com to ann.b@example.com");
    let users: i64 = sqlx::query_scalar(
        "select count(*) from users where email = 'eve@example.com' or role = 'admin'",
    )
    .fetch_one(&accounts.app.pool)
    .await
    .unwrap();
    assert_eq!(users, 1);
}
