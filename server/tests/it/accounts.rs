//! What admins do for the accounts of others: ending access, locking, deleting and creating.

use reqwest::Method;

use crate::people::{Accounts, By, Person, link_in, location, password_of, session_in};

#[tokio::test]
async fn all_access_of_a_user_can_be_ended() {
    let accounts = Accounts::start().await;
    let admin = By::from(&accounts.admin);
    let ann = accounts.member("ann").await;
    let ben = accounts.member("ben").await;
    let bens_token = By::Token(accounts.token(&ben, "write").await);
    let of_ann = |what: &str| format!("/users/{}/{what}", ann.id);
    let works = async |by: &By| {
        let status = accounts.get("/users", by).await.status();
        assert!(status == 200 || status == 401, "{status}");
        status == 200
    };
    // Signs ann in, and creates a token for her.
    let access = async |password: &str| {
        let session = session_in(&accounts.sign_in(&ann.email, password).await);
        let ann = Person {
            session,
            ..ann.clone()
        };
        let token = accounts.token(&ann, "write").await;
        (By::from(&ann), By::Token(token))
    };
    let old_password = password_of(&ann.email);

    // An admin's button.
    let page = accounts.form(&of_ann("password-link"), &[], &admin).await;
    let pending_link = link_in(&page.text().await.unwrap());
    let (session, token) = access(&old_password).await;
    let mut by_session = accounts.socket(ann.id, &session).await.unwrap();
    let mut by_token = accounts.socket_at("/ws", &token).await.unwrap();
    let page = accounts.page(&format!("/users/{}", ann.id), &admin).await;
    let page = page.text().await.unwrap();
    let button = format!("action=\"/users/{}/end-access\"", ann.id);
    assert!(page.contains(&button), "{page}");
    let ended = accounts.form(&of_ann("end-access"), &[], &admin).await;
    assert_eq!(location(&ended), format!("/users/{}#sign-in", ann.id));
    by_session.closed().await;
    by_token.closed().await;
    for by in [&session, &token, &By::from(&ann)] {
        assert!(!works(by).await, "{by:?}");
    }
    let set = accounts.set_password(&pending_link, "quite an odd phrase");
    assert_eq!(set.await.status(), 404);
    let nobody = accounts.form("/users/999999999/end-access", &[], &admin);
    assert_eq!(nobody.await.status(), 404);
    let By::Token(secret) = &token else {
        unreachable!()
    };
    let audited: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', kind, detail) from audit_events where actor_id = $1 and user_id = $2
         order by id desc limit 2",
    )
    .bind(accounts.admin.id)
    .bind(ann.id)
    .fetch_all(&accounts.app.pool)
    .await
    .unwrap();
    let revoked = format!("revoke_token {}", &secret[..11]);
    assert_eq!(audited, ["end_access", &revoked]);

    // A changed role, in both directions. Saving the same role changes nothing.
    for role in ["admin", "member"] {
        let (session, token) = access(&old_password).await;
        let path = of_ann("role");
        let save = async || accounts.form(&path, &[("role", role)], &admin).await;
        save().await;
        assert!(!works(&session).await && !works(&token).await, "{role}");
        let (session, token) = access(&old_password).await;
        save().await;
        assert!(works(&session).await && works(&token).await, "{role}");
    }

    // A forgotten password.
    let (session, token) = access(&old_password).await;
    let page = accounts.form(&of_ann("password-link"), &[], &admin).await;
    let link = link_in(&page.text().await.unwrap());
    let first = "quite an odd phrase";
    accounts.set_password(&link, first).await;
    assert!(!works(&session).await && !works(&token).await);

    // One's own password: tokens only if one wants that.
    let (session, token) = access(first).await;
    let By::Session(secret) = &session else {
        unreachable!()
    };
    let second = "another odd phrase";
    accounts.change_password(secret, first, second).await;
    assert!(!works(&session).await && works(&token).await);
    let (session, second_token) = access(second).await;
    let fields = [
        ("current_password", second),
        ("new_password", first),
        ("revoke_tokens", "yes"),
    ];
    let changed = accounts.form("/account/password", &fields, &session).await;
    assert_eq!(location(&changed), "/account?after=password-and-tokens");
    assert!(works(&By::Session(session_in(&changed))).await);
    assert!(!works(&token).await && !works(&second_token).await);

    assert!(works(&By::from(&ben)).await && works(&bens_token).await);
}

#[tokio::test]
async fn a_locked_user_stays_out_until_unlocked() {
    let accounts = Accounts::start().await;
    let admin = By::from(&accounts.admin);
    let ann = accounts.member("ann").await;
    let token = By::Token(accounts.token(&ann, "write").await);
    let of_ann = |what: &str| format!("/users/{}/{what}", ann.id);
    let page_of_ann = async || {
        let page = accounts.page(&format!("/users/{}", ann.id), &admin).await;
        page.text().await.unwrap()
    };
    let password = password_of(&ann.email);
    let page = accounts.form(&of_ann("password-link"), &[], &admin).await;
    let link = link_in(&page.text().await.unwrap());
    let mut socket = accounts.socket_at("/ws", &token).await.unwrap();
    let page = page_of_ann().await;
    assert!(page.contains(&of_ann("lock")), "{page}");

    // A second click changes nothing.
    for _ in 0..2 {
        let locked = accounts.form(&of_ann("lock"), &[], &admin).await;
        assert_eq!(location(&locked), format!("/users/{}#sign-in", ann.id));
    }
    socket.closed().await;
    assert!(!accounts.is_signed_in(&ann.session).await);
    assert_eq!(accounts.get("/users", &token).await.status(), 401);
    let set = accounts.set_password(&link, "quite an odd phrase").await;
    assert_eq!(set.status(), 404);
    // Only the right password reveals the reason.
    for (password, status, sentence) in [
        ("wrong", 422, "The email address or the password"),
        (&password, 403, "Your account is locked."),
    ] {
        let refused = accounts.sign_in(&ann.email, password).await;
        assert_eq!(refused.status(), status);
        assert!(!refused.headers().contains_key("set-cookie"));
        let page = refused.text().await.unwrap();
        assert!(page.contains(sentence), "{page}");
    }
    let page = page_of_ann().await;
    assert!(page.contains("Locked since"), "{page}");
    assert!(page.contains(&of_ann("unlock")), "{page}");
    assert!(!page.contains(&of_ann("password-link")), "{page}");
    let members = accounts.page("/accounts", &admin).await;
    assert!(members.text().await.unwrap().contains("Member · Locked"));

    // A session that were left over wouldn't work either.
    accounts
        .execute(&format!(
            "insert into sessions (secret_hash, user_id, expires_at)
             values (sha256('left over'), {}, now() + interval '1 hour')",
            ann.id
        ))
        .await;
    assert!(!accounts.is_signed_in("left over").await);
    accounts
        .execute("delete from sessions where secret_hash = sha256('left over')")
        .await;

    for _ in 0..2 {
        let unlocked = accounts.form(&of_ann("unlock"), &[], &admin).await;
        assert_eq!(location(&unlocked), format!("/users/{}#sign-in", ann.id));
    }
    assert_eq!(accounts.get("/users", &token).await.status(), 401);
    let session = session_in(&accounts.sign_in(&ann.email, &password).await);
    assert!(accounts.is_signed_in(&session).await);
    for what in ["lock", "unlock"] {
        let path = format!("/users/999999999/{what}");
        let nobody = accounts.form(&path, &[], &admin);
        assert_eq!(nobody.await.status(), 404, "{what}");
    }

    // Nobody locks themselves, and a locked admin isn't one who could unlock others.
    let refused = async |id: i64, sentence: &str| {
        let refused = accounts
            .form(&format!("/users/{id}/lock"), &[], &admin)
            .await;
        assert_eq!(refused.status(), 409);
        let page = refused.text().await.unwrap();
        assert!(page.contains(sentence), "{page}");
    };
    refused(accounts.admin.id, "lock yourself. Ask another admin.").await;
    accounts
        .form(&of_ann("role"), &[("role", "admin")], &admin)
        .await;
    accounts.form(&of_ann("lock"), &[], &admin).await;
    let own_role = format!("/users/{}/role", accounts.admin.id);
    let kept = accounts
        .form(&own_role, &[("role", "member")], &admin)
        .await;
    assert_eq!(kept.status(), 409);

    // Whoever has a shell on the server gets in again.
    let arguments = ["create-admin", "--email", &ann.email, "--name", "Ann"];
    let created = accounts
        .app
        .server_program(&arguments, &[], "quite an odd phrase");
    assert!(created.status.success());
    let session = session_in(&accounts.sign_in(&ann.email, "quite an odd phrase").await);
    assert!(accounts.is_signed_in(&session).await);

    let audited: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', kind, outcome, actor, detail) from audit_events
         where user_id = $1 and (kind in ('lock_user', 'unlock_user') or detail like '%locked') order by id",
    )
    .bind(ann.id)
    .fetch_all(&accounts.app.pool)
    .await
    .unwrap();
    let by_admin = |what: &str| format!("{what} done {}", accounts.admin.email);
    assert_eq!(
        audited,
        [
            by_admin("lock_user"),
            "sign_in refused anyone password: locked".to_owned(),
            by_admin("unlock_user"),
            by_admin("lock_user"),
            "unlock_user done command line".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_deleted_user_is_signed_out_and_the_last_admin_is_kept() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let token = By::Token(accounts.token(&ann, "write").await);
    let admin = By::from(&accounts.admin);
    let mut socket = accounts.socket(ann.id, &token).await.unwrap();
    let delete = async |id: i64| {
        let request = accounts.api(Method::DELETE, &format!("/users/{id}"), &admin);
        request.send().await.unwrap()
    };
    assert_eq!(delete(ann.id).await.status(), 204);
    assert!(!accounts.is_signed_in(&ann.session).await);
    assert_eq!(accounts.get("/users", &token).await.status(), 401);
    socket.closed().await;
    assert_eq!(
        accounts
            .sign_in(&ann.email, &password_of(&ann.email))
            .await
            .status(),
        422
    );

    // The last admin can neither be deleted nor become a member.
    let role = async |id: i64, role: &str| {
        let path = format!("/users/{id}/role");
        accounts.form(&path, &[("role", role)], &admin).await
    };
    assert_eq!(delete(accounts.admin.id).await.status(), 409);
    let refused = role(accounts.admin.id, "member").await;
    assert_eq!(refused.status(), 409);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("This is the only admin.")
    );
    // An admin who can't sign in doesn't count.
    accounts.new_user("ben", "ben@example.com").await;
    let ben: i64 = sqlx::query_scalar("select id from users where email = 'ben@example.com'")
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    assert_eq!(role(ben, "admin").await.status(), 303);
    assert_eq!(delete(accounts.admin.id).await.status(), 409);
    // One who can sign in does.
    let cem = accounts.member("cem").await;
    assert_eq!(role(cem.id, "admin").await.status(), 303);
    let cem = By::from(&accounts.signed_in(&cem.email).await);
    assert_eq!(accounts.get("/audit.ndjson", &cem).await.status(), 200);
    assert_eq!(role(accounts.admin.id, "member").await.status(), 303);
    let admin = By::from(&accounts.signed_in(&accounts.admin.email).await);
    assert_eq!(accounts.get("/audit.ndjson", &admin).await.status(), 403);
}

#[tokio::test]
async fn the_first_admin_comes_from_the_command_line() {
    let accounts = Accounts::start().await;
    let create = |email: &str, password: &str| {
        let arguments = ["create-admin", "--email", email, "--name", "Ann"];
        let output = accounts.app.server_program(&arguments, &[], password);
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (is_created, said) = create("ann@example.com", "short");
    assert!(
        !is_created && said.contains("at least 12 characters"),
        "{said}"
    );
    let (is_created, said) = create("ann@example.com", "ann@example.com");
    assert!(!is_created && said.contains("too easy to guess"), "{said}");
    // A member becomes an admin and gets another password.
    let ann = accounts.member("ann").await;
    let token = By::Token(accounts.token(&ann, "read").await);
    let (is_created, said) = create("Ann@example.com", "quite an odd phrase");
    assert!(is_created && said.contains("already existed"), "{said}");
    assert!(!accounts.is_signed_in(&ann.session).await);
    assert_eq!(accounts.get("/users", &token).await.status(), 401);
    let session = session_in(&accounts.sign_in(&ann.email, "quite an odd phrase").await);
    let audit = accounts.get("/audit.ndjson", &By::Session(session)).await;
    assert_eq!(audit.status(), 200);
    assert!(audit.text().await.unwrap().contains("command line"));
}
