//! Passwords, sessions, API tokens, one-time links and roles.

use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::raw,
    people::{Accounts, By, Person, link_in, location, password_of, session_in},
};

impl Accounts {
    async fn is_signed_in(&self, session: &str) -> bool {
        let by = By::Session(session.to_owned());
        let status = self.get("/users", &by).await.status();
        assert!(status == 200 || status == 401, "{status}");
        status == 200
    }

    async fn change_password(&self, session: &str, current: &str, new: &str) -> reqwest::Response {
        let fields = [("current_password", current), ("new_password", new)];
        let by = By::Session(session.to_owned());
        self.form("/account/password", &fields, &by).await
    }

    async fn execute(&self, sql: &str) {
        sqlx::raw_sql(sql).execute(&self.app.pool).await.unwrap();
    }
}

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
