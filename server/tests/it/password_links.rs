//! One-time links with which users set their passwords.

use crate::people::{Accounts, By, link_in, session_in};

#[tokio::test]
async fn a_link_sets_a_password_once() {
    let accounts = Accounts::start().await;
    let admin = By::from(&accounts.admin);
    let fields = [("name", "Ann"), ("email", "ann@example.com")];
    let page = accounts.form("/accounts", &fields, &admin).await;
    assert_eq!(page.status(), 201);
    let page = page.text().await.unwrap();
    // The complete URL, with the origin as the admin's browser sees it.
    let address = format!("{}/set-password?link=", accounts.app.web);
    assert!(page.contains(&address), "{page}");
    let first = link_in(&page);
    let id: i64 = sqlx::query_scalar("select id from users where email = 'ann@example.com'")
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    // An address that is taken is refused beside its field.
    let fields = [("name", "Another"), ("email", "ann@example.com")];
    let again = accounts.form("/accounts", &fields, &admin).await;
    assert_eq!(again.status(), 409);
    assert!(
        again
            .text()
            .await
            .unwrap()
            .contains("That email address is already in use.")
    );

    // A new link replaces the previous one.
    let new_link = async || {
        let path = format!("/users/{id}/password-link");
        let page = accounts.form(&path, &[], &admin).await;
        assert_eq!(page.status(), 201);
        link_in(&page.text().await.unwrap())
    };
    let second = new_link().await;
    let shown = async |link: &str| {
        let path = format!("/set-password?link={link}");
        accounts.page(&path, &By::Nobody).await.status()
    };
    assert_eq!(shown(&first).await, 404);
    assert_eq!(shown(&second).await, 200);
    assert_eq!(shown("invented").await, 404);
    assert_eq!(
        accounts
            .set_password(&first, "quite an odd phrase")
            .await
            .status(),
        404
    );
    // A refused password doesn't use up the link.
    let weak = accounts.set_password(&second, "ann@example.com").await;
    assert_eq!(weak.status(), 422);
    let set = accounts.set_password(&second, "quite an odd phrase").await;
    assert_eq!(set.status(), 303);
    assert_eq!(shown(&second).await, 404);
    let again = accounts.set_password(&second, "another odd phrase").await;
    assert_eq!(again.status(), 404);
    let refused: i64 = sqlx::query_scalar(
        "select count(*) from audit_events where kind = 'use_password_link' and outcome = 'refused'",
    )
    .fetch_one(&accounts.app.pool)
    .await
    .unwrap();
    assert_eq!(refused, 2);
    let signed_in = accounts
        .sign_in("ann@example.com", "quite an odd phrase")
        .await;
    let session = session_in(&signed_in);

    // Resetting a forgotten password ends all sessions.
    let third = new_link().await;
    accounts.set_password(&third, "another odd phrase").await;
    assert!(!accounts.is_signed_in(&session).await);
    // A link is valid for 72 hours.
    let fourth = new_link().await;
    let hours: f64 = sqlx::query_scalar(
        "select (extract(epoch from expires_at - created_at) / 3600)::float8 from password_links",
    )
    .fetch_one(&accounts.app.pool)
    .await
    .unwrap();
    assert_eq!(hours, 72.0);
    accounts
        .execute("update password_links set expires_at = now()")
        .await;
    assert_eq!(
        accounts
            .set_password(&fourth, "a third odd phrase")
            .await
            .status(),
        404
    );
}
