//! Signing in, and the sessions that it starts.

use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    harness::raw,
    people::{Accounts, By, link_in, location, password_of, session_in},
};

#[tokio::test]
async fn signing_in_starts_a_session_and_reveals_no_users() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    accounts.new_user("ben", "ben@example.com").await;

    let response = accounts
        .sign_in("  ANN@example.com ", &password_of(&ann.email))
        .await;
    assert_eq!(response.status(), 303);
    assert_eq!(location(&response), "/");
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(cookie.starts_with("session="), "{cookie}");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let second = session_in(&response);
    assert!(accounts.is_signed_in(&second).await);
    assert_ne!(second, ann.session);
    // Nothing stored in the database suffices to sign in.
    let stored: String = sqlx::query_scalar("select string_agg(sessions::text, ' ') from sessions")
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    assert!(!stored.contains(&second), "{stored}");

    // Signing in ends the browser's previous session.
    let fields = [
        ("email", ann.email.as_str()),
        ("password", &password_of(&ann.email)),
    ];
    let third = accounts
        .form("/sign-in", &fields, &By::Session(second.clone()))
        .await;
    assert!(!accounts.is_signed_in(&second).await);
    assert!(accounts.is_signed_in(&session_in(&third)).await);

    // A wrong password, an unknown user and a user without a password get the same message.
    let mut words = Vec::new();
    for (email, password) in [
        (ann.email.as_str(), "some other password"),
        (ann.email.as_str(), ""),
        ("nobody@example.com", "some other password"),
        ("ben@example.com", "some other password"),
        ("a\0b", "some other password"),
    ] {
        let response = accounts.sign_in(email, password).await;
        assert_eq!(response.status(), 422, "{email}");
        assert!(!response.headers().contains_key("set-cookie"));
        let page = response.text().await.unwrap();
        assert!(
            page.contains("The email address or the password isn"),
            "{page}"
        );
        // The nonces of a page's scripts differ each time.
        let page = page.replace(&format!("value=\"{email}\""), "");
        let body = page[page.find("<main").unwrap()..].to_owned();
        words.push(body.replace(email, ""));
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:#?}");

    // The hash of an earlier version with cheaper parameters is replaced by one with today's, for the same password.
    const OLD: &str = "$argon2id$v=19$m=8192,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$OzIX+UJGC2ZsBTuogebZwPWSx7ncwZbKBQkrj75xCXY";
    accounts
        .execute(&format!(
            "update users set password_hash = '{OLD}' where id = {}",
            ann.id
        ))
        .await;
    accounts.signed_in(&ann.email).await;
    let renewed: String = sqlx::query_scalar("select password_hash from users where id = $1")
        .bind(ann.id)
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    assert!(
        renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{renewed}"
    );

    // It continues to the requested page, if that is on this site.
    for (next, expected) in [
        ("/jobs/7?filter=valid", "/jobs/7?filter=valid"),
        ("//evil.example/x", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
    ] {
        let password = password_of(&ann.email);
        let fields = [
            ("email", ann.email.as_str()),
            ("password", &password),
            ("next", next),
        ];
        let response = accounts.form("/sign-in", &fields, &By::Nobody).await;
        assert_eq!(location(&response), expected);
    }
    // A signed-in user isn't asked again, and a member's home page is their own.
    let page = accounts
        .page("/sign-in?next=%2Fformats", &By::from(&ann))
        .await;
    assert_eq!(location(&page), "/formats");
    let page = accounts.page("/", &By::from(&ann)).await;
    assert_eq!(location(&page), format!("/users/{}", ann.id));
    let page = accounts
        .page(&format!("/users/{}", ann.id), &By::from(&ann))
        .await;
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Sign out") && !page.contains("Delete user"),
        "{page}"
    );
}

#[tokio::test]
async fn the_cookie_requires_https_except_on_this_machine() {
    let accounts = Accounts::start_set(&[
        ("ALLOWED_HOSTS", "batchline.example.com"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
    ])
    .await;
    let web = accounts.app.web.clone();
    let (name, here) = (
        "batchline.example.com",
        web.strip_prefix("http://").unwrap(),
    );
    let https = "X-Forwarded-Proto: https\r\n";
    let post = async |path: &str, host: &str, headers: &str| {
        let email = &accounts.admin.email;
        let password = password_of(email).replace(' ', "+");
        let body = match path {
            "/set-password" => format!("link=x&new_password={password}"),
            _ => format!("email={email}&password={password}"),
        };
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Accept: text/html\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        raw(&web, request).await
    };
    let answer = post("/sign-in", name, https).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let lasting = answer.header("strict-transport-security");
    assert_eq!(lasting, Some("max-age=31536000; includeSubDomains"));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-session="), "{cookie}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let page = async |cookie: &str| {
        let request = format!(
            "GET /account HTTP/1.1\r\nHost: {name}\r\n{https}Accept: text/html\r\nCookie: {cookie}\r\n\
             Connection: close\r\n\r\n"
        );
        raw(&web, request).await.status
    };
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(page(pair).await, 200);
    // Other hosts could set a cookie with this name, so it is ignored.
    assert_eq!(page(pair.strip_prefix("__Host-").unwrap()).await, 303);
    // A proxy may send the address at which it reaches us.
    let answer = post("/sign-in", here, https).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-session=") && cookie.contains("Secure"),
        "{cookie}"
    );
    // Without HTTPS, the page says so.
    for (host, headers) in [
        (name, ""),
        (name, "Origin: https://batchline.example.com\r\n"),
        (name, "X-Forwarded-Proto: http\r\n"),
        (here, "X-Forwarded-For: 198.51.100.7\r\n"),
        (here, "Forwarded: for=198.51.100.7\r\n"),
    ] {
        for path in ["/sign-in", "/set-password"] {
            let answer = post(path, host, headers).await;
            assert_eq!(answer.status, 403, "{path} {host} {headers}: {answer:?}");
            assert!(
                answer.body.contains("Signing in needs HTTPS here"),
                "{answer:?}"
            );
            assert_eq!(answer.header("strict-transport-security"), None);
        }
    }
    // The other cookies are like the session's.
    for (headers, is_secure) in [(https, true), ("", false)] {
        let request = format!(
            "POST /theme HTTP/1.1\r\nHost: {here}\r\n{headers}Content-Length: 10\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\ntheme=dark"
        );
        let answer = raw(&web, request).await;
        let cookie = answer.header("set-cookie").unwrap();
        assert_eq!(cookie.ends_with("; Secure"), is_secure, "{cookie}");
        assert_eq!(
            cookie.starts_with("__Secure-theme=dark"),
            is_secure,
            "{cookie}"
        );
        let name = cookie.split(';').next().unwrap();
        let request = format!(
            "GET /sign-in HTTP/1.1\r\nHost: {here}\r\n{headers}Cookie: {name}\r\nConnection: close\r\n\r\n"
        );
        let page = raw(&web, request).await.body;
        assert!(page.contains("content=\"dark\""), "{page}");
    }
    // Nor do tokens travel in the clear.
    let token = accounts.token(&accounts.admin, "read").await;
    for (host, headers, status) in [
        (name, https, 200),
        (name, "", 403),
        (here, "", 200),
        (here, "X-Forwarded-For: 198.51.100.7\r\n", 403),
    ] {
        let request = format!(
            "GET /api/me HTTP/1.1\r\nHost: {host}\r\n{headers}Authorization: Bearer {token}\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = raw(&web, request).await;
        assert_eq!(answer.status, status, "{host} {headers}: {answer:?}");
        assert_eq!(
            answer.body.contains("API tokens need HTTPS here"),
            status == 403,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn refusals_are_logged_once_a_second() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let began = Instant::now();
    for _ in 0..20 {
        let refused = accounts.get("/jobs", &By::Nobody).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    }
    let user = json!({"name": "Bob", "email": "bob@example.com"});
    let request = accounts.api(Method::POST, "/users", &By::from(&ann));
    let refused = request.json(&user).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    // Printed after the others.
    let user = format!("user={}", ann.id);
    let words = [
        "refused status=403",
        "method=POST",
        "/users",
        "client=127.0.0.1",
    ];
    accounts.app.logged(&[&words[..], &[&user]].concat()).await;
    let lines = accounts.app.printed();
    let lines = lines
        .iter()
        .filter(|line| line.contains("refused status=401"));
    let seconds = began.elapsed().as_secs() as usize;
    let count = lines.count();
    assert!((1..=seconds + 1).contains(&count), "{count} in {seconds} s");
}

#[tokio::test]
async fn attempts_to_sign_in_are_limited_by_account_and_address() {
    let accounts = Accounts::start_set(&[
        ("MAX_SIGN_INS_PER_ACCOUNT", "4"),
        ("MAX_SIGN_INS_PER_MINUTE", "20"),
    ])
    .await;
    let ann = accounts.member("ann").await;
    // One attempt was made by `member`.
    for _ in 0..3 {
        let status = accounts
            .sign_in(&ann.email, "a wrong password")
            .await
            .status();
        assert_eq!(status, 422);
    }
    let response = accounts
        .sign_in(&ann.email.to_uppercase(), &password_of(&ann.email))
        .await;
    assert_eq!(response.status(), 429);
    let seconds: u32 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("Too many sign-in attempts.")
    );
    // Strangers' attempts don't keep a signed-in user from changing the password, but a stolen session isn't enough to
    // find it out.
    let current = password_of(&ann.email);
    let mut ann = ann;
    let changed = accounts.change_password(&ann.session, &current, "quite an odd phrase");
    ann.session = session_in(&changed.await);
    for expected in [422, 422, 422, 429] {
        let refused = accounts.change_password(&ann.session, "wrong", "another odd phrase");
        let refused = refused.await;
        assert_eq!(refused.status(), expected);
        let has_time = refused.headers().contains_key("retry-after");
        assert_eq!(has_time, expected == 429);
        let page = refused.text().await.unwrap();
        let is_limit = page.contains("Too many attempts to change the password.");
        assert_eq!(is_limit, expected == 429, "{page}");
    }
    // Signed-in users stay signed in, and others can still sign in.
    assert!(accounts.is_signed_in(&ann.session).await);
    accounts.signed_in(&accounts.admin.email).await;
    // Trying one password on many accounts is limited, too.
    let mut statuses = Vec::new();
    for number in 0..20 {
        let email = format!("somebody{number}@example.com");
        statuses.push(accounts.sign_in(&email, "summer holidays").await.status());
    }
    assert_eq!(statuses.first(), Some(&StatusCode::UNPROCESSABLE_ENTITY));
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn sessions_expire_and_can_be_ended() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let ben = accounts.member("ben").await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(accounts.signed_in(&ann.email).await);
    }
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from sessions where user_id = $1 order by id")
            .bind(ann.id)
            .fetch_all(&accounts.app.pool)
            .await
            .unwrap();
    let page = accounts.page("/account", &By::from(&ann)).await;
    let page = page.text().await.unwrap();
    for id in &ids {
        assert!(page.contains(&format!("id=\"session-{id}\"")), "{page}");
    }
    assert!(
        !page.contains(&format!("/account/sessions/{}/end", ids[0])),
        "{page}"
    );
    assert!(
        page.contains(&format!("/account/sessions/{}/end", ids[1])),
        "{page}"
    );

    // A user can't end another user's session.
    let path = format!("/account/sessions/{}/end", ids[1]);
    accounts.form(&path, &[], &By::from(&ben)).await;
    assert!(accounts.is_signed_in(&others[0].session).await);
    accounts.form(&path, &[], &By::from(&ann)).await;
    assert!(!accounts.is_signed_in(&others[0].session).await);
    assert!(accounts.is_signed_in(&others[1].session).await);
    accounts
        .form("/account/end-other-sessions", &[], &By::from(&ann))
        .await;
    assert!(!accounts.is_signed_in(&others[1].session).await);
    assert!(!accounts.is_signed_in(&others[2].session).await);
    assert!(accounts.is_signed_in(&ann.session).await);
    assert!(accounts.is_signed_in(&ben.session).await);

    let signed_out = accounts.form("/sign-out", &[], &By::from(&ann)).await;
    assert_eq!(location(&signed_out), "/sign-in?after=sign-out");
    assert_eq!(
        signed_out.headers()["clear-site-data"],
        "\"cache\", \"storage\""
    );
    let cookie = signed_out.headers()["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("session=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    assert!(!accounts.is_signed_in(&ann.session).await);

    // A session ends after twelve hours without a request, or seven days in total.
    let idle = accounts.signed_in(&ann.email).await;
    accounts
        .execute("update sessions set last_used_at = now() - interval '11 hours 59 minutes'")
        .await;
    // Asking whether it has ended isn't a request.
    let asked = async |session: &str, user_id: i64| {
        let by = By::Session(session.to_owned());
        let path = format!("/users/{user_id}/session");
        accounts.page(&path, &by).await.status().as_u16()
    };
    assert_eq!(asked(&idle.session, ann.id).await, 204);
    assert_eq!(asked(&ben.session, ann.id).await, 401);
    assert_eq!(asked("invented", ann.id).await, 401);
    let used = "select count(*) from sessions where last_used_at > now() - interval '11 hours'";
    let used: i64 = sqlx::query_scalar(used)
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    assert_eq!(used, 0);
    assert!(accounts.is_signed_in(&idle.session).await);
    assert!(accounts.is_signed_in(&ben.session).await);
    // That request counted as a use.
    accounts
        .execute("update sessions set last_used_at = last_used_at - interval '11 hours 59 minutes'")
        .await;
    assert!(accounts.is_signed_in(&idle.session).await);
    accounts
        .execute("update sessions set last_used_at = now() - interval '12 hours 1 second'")
        .await;
    assert_eq!(asked(&idle.session, ann.id).await, 401);
    assert!(!accounts.is_signed_in(&idle.session).await);
    let long = accounts.signed_in(&ann.email).await;
    let days: f64 = sqlx::query_scalar(
        "select (extract(epoch from expires_at - created_at) / 86400)::float8 from sessions where user_id = $1",
    )
    .bind(ann.id)
    .fetch_one(&accounts.app.pool)
    .await
    .unwrap();
    assert_eq!(days, 7.0);
    accounts
        .execute("update sessions set expires_at = now()")
        .await;
    assert!(!accounts.is_signed_in(&long.session).await);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let elsewhere = accounts.signed_in(&ann.email).await;
    let (current, new) = (password_of(&ann.email), "a rather different one");
    for (current, new, sentence) in [
        ("not the current one", new, "That isn"),
        (&current, "too short", "use at least 12 characters"),
        (&current, "password1234", "too easy to guess"),
        (&current, "ann@example.com", "too easy to guess"),
        (&current, "", "Enter a new password"),
        (&current, &"x".repeat(257), "use at most 256 characters"),
    ] {
        let refused = accounts.change_password(&ann.session, current, new).await;
        assert_eq!(refused.status(), 422, "{new}");
        let page = refused.text().await.unwrap();
        assert!(page.contains(sentence), "{new}: {page}");
    }
    assert!(accounts.is_signed_in(&elsewhere.session).await);

    let link = {
        let path = format!("/users/{}/password-link", ann.id);
        let page = accounts.form(&path, &[], &By::from(&accounts.admin)).await;
        link_in(&page.text().await.unwrap())
    };
    let changed = accounts.change_password(&ann.session, &current, new).await;
    assert_eq!(location(&changed), "/account?after=password");
    let renewed = session_in(&changed);
    assert!(accounts.is_signed_in(&renewed).await);
    assert!(!accounts.is_signed_in(&ann.session).await);
    assert!(!accounts.is_signed_in(&elsewhere.session).await);
    assert_eq!(accounts.sign_in(&ann.email, &current).await.status(), 422);
    assert_eq!(accounts.sign_in(&ann.email, new).await.status(), 303);
    // An older link would undo the change.
    let set = accounts.set_password(&link, "something else again").await;
    assert_eq!(set.status(), 404);
}
