//! Two-step sign-in with codes of an app, recovery codes, and what an admin can do for somebody who has lost both.

use std::time::SystemTime;

use reqwest::{Response, StatusCode};
use totp_rs::{Builder, Secret};

use crate::{
    harness::raw,
    people::{Accounts, By, Person, link_in, location, password_of},
};

const HALF_SESSION: &str = "half-session";

/// A user's app.
struct App(totp_rs::Totp);

impl App {
    /// Reads the key on a page.
    fn scanned(page: &str) -> Self {
        let (_, rest) = page.split_once("id=\"second-factor-key\"").unwrap();
        let (_, rest) = rest.split_once('>').unwrap();
        let key: String = rest.split('<').next().unwrap().split_whitespace().collect();
        let secret = Secret::try_from_base32(&key).unwrap();
        Self(Builder::new().with_secret(secret).build_noncompliant())
    }

    /// Returns the code of the step that is this number of steps ahead.
    fn code(&self, steps: i64) -> String {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = since.unwrap().as_secs().checked_add_signed(steps * 30);
        self.0.generate(time.unwrap()).to_string()
    }
}

/// Returns the value of a cookie that a response sets.
fn cookie_in(response: &Response, name: &str) -> Option<String> {
    let cookies = response.headers().get_all("set-cookie").iter();
    let mut pairs = cookies.map(|cookie| cookie.to_str().unwrap().split_once('=').unwrap());
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    Some(value.split(';').next().unwrap().to_owned())
}

impl Accounts {
    /// Sets up two-step sign-in. Returns the app, the code that was used, and the recovery codes.
    async fn set_up(&self, person: &Person) -> (App, String, Vec<String>) {
        let by = By::from(person);
        let page = self.form("/account/second-factor", &[], &by).await;
        assert_eq!(page.status(), StatusCode::CREATED);
        let page = page.text().await.unwrap();
        assert!(page.contains("aria-label=\"QR code of the key\""), "{page}");
        assert!(!page.contains("style=\""), "{page}");
        let app = App::scanned(&page);
        let path = "/account/second-factor/code";
        let wrong = self.form(path, &[("code", "000000")], &by).await;
        assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
        // The same key is still there.
        let again = App::scanned(&wrong.text().await.unwrap());
        assert_eq!(again.0.generate(59), app.0.generate(59));
        let used = app.code(0);
        let turned_on = self.form(path, &[("code", &used)], &by).await;
        assert_eq!(turned_on.status(), StatusCode::CREATED);
        let page = turned_on.text().await.unwrap();
        let codes = page.split("<code class=\"secret\">").skip(1);
        let codes = codes.map(|rest| rest.split('<').next().unwrap().to_owned());
        let codes: Vec<_> = codes.collect();
        assert_eq!(codes.len(), 10, "{page}");
        (app, used, codes)
    }

    /// Enters the right password. Returns the secret of the half session.
    async fn half_session(&self, email: &str) -> String {
        let response = self.sign_in(email, &password_of(email)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(location(&response), "/sign-in/code");
        assert_eq!(cookie_in(&response, "session"), None);
        cookie_in(&response, HALF_SESSION).unwrap()
    }

    async fn enter(&self, half_session: &str, code: &str) -> Response {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs([("code", code), ("next", "/formats")]);
        self.http
            .post(format!("{}/sign-in/code", self.app.web))
            .header("accept", "text/html")
            .header("cookie", format!("{HALF_SESSION}={half_session}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.finish())
            .send()
            .await
            .unwrap()
    }

    async fn audited_kinds(&self, kinds: &str) -> Vec<String> {
        sqlx::query_scalar(&format!(
            "select concat_ws(' ', kind, outcome, user_id, detail) from audit_events where kind in ({kinds}) order by id"
        ))
        .fetch_all(&self.app.pool)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn signing_in_needs_a_code_once_the_second_factor_is_set_up() {
    let accounts = Accounts::start_set(&[
        ("MAX_SIGN_INS_PER_ACCOUNT", "0"),
        ("MAX_SIGN_INS_PER_MINUTE", "0"),
    ])
    .await;
    let ann = accounts.member("ann").await;
    let elsewhere = accounts.signed_in(&ann.email).await;
    let (app, used, recovery) = accounts.set_up(&ann).await;
    // As after a new password, others who are signed in as the user are signed out.
    let works = async |by: &By| accounts.get("/users", by).await.status() == 200;
    assert!(works(&By::from(&ann)).await && !works(&By::from(&elsewhere)).await);
    // Recovery codes aren't stored.
    let stored: String = sqlx::query_scalar(
        "select string_agg(second_factors::text || recovery_codes::text, ' ')
         from second_factors join recovery_codes using (user_id)",
    )
    .fetch_one(&accounts.app.pool)
    .await
    .unwrap();
    for code in &recovery {
        let plain = code.replace('-', "");
        let hex: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            !stored.contains(&plain) && !stored.contains(&hex),
            "{stored}"
        );
    }

    // A half session opens nothing.
    let half = accounts.half_session(&ann.email).await;
    assert!(!works(&By::Session(half.clone())).await);
    // The code that turned it on was used. The next one is accepted, once.
    for wrong in [&*used, "123", "", "AAAA-BBBB"] {
        let refused = accounts.enter(&half, wrong).await;
        assert_eq!(
            refused.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
        assert!(refused.text().await.unwrap().contains("or was used before"));
    }
    let next = app.code(1);
    let signed_in = accounts
        .enter(&half, &format!(" {} {}", &next[..3], &next[3..]))
        .await;
    assert_eq!(location(&signed_in), "/formats");
    assert_eq!(cookie_in(&signed_in, HALF_SESSION).as_deref(), Some(""));
    let session = By::Session(cookie_in(&signed_in, "session").unwrap());
    assert!(works(&session).await);
    // A half session becomes a session once, and a code isn't accepted again.
    let again = accounts.enter(&half, &recovery[0]).await;
    assert_eq!(again.status(), StatusCode::FORBIDDEN);
    let half = accounts.half_session(&ann.email).await;
    assert_eq!(accounts.enter(&half, &next).await.status(), 422);
    // A recovery code is, once, however it is typed.
    let typed = recovery[0].to_lowercase().replace('-', " ");
    let signed_in = accounts.enter(&half, &typed).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    let half = accounts.half_session(&ann.email).await;
    assert_eq!(accounts.enter(&half, &recovery[0]).await.status(), 422);
    let page = accounts
        .page("/account", &session)
        .await
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("You have 9 of 10 recovery codes left."),
        "{page}"
    );

    // Five codes may be tried, in five minutes, in one browser, unless the password changes meanwhile.
    for _ in 0..4 {
        assert_eq!(accounts.enter(&half, "000000").await.status(), 422);
    }
    let refused = accounts.enter(&half, &recovery[1]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("too many codes were tried")
    );
    let half = accounts.half_session(&ann.email).await;
    sqlx::raw_sql("update half_sessions set expires_at = now()")
        .execute(&accounts.app.pool)
        .await
        .unwrap();
    assert_eq!(accounts.enter(&half, &recovery[1]).await.status(), 403);
    assert_eq!(accounts.enter("invented", &recovery[1]).await.status(), 403);
    let half = accounts.half_session(&ann.email).await;
    let admin = By::from(&accounts.admin);
    let path = format!("/users/{}/password-link", ann.id);
    let page = accounts
        .form(&path, &[], &admin)
        .await
        .text()
        .await
        .unwrap();
    let set = accounts
        .set_password(&link_in(&page), &password_of(&ann.email))
        .await;
    assert_eq!(set.status(), StatusCode::SEE_OTHER);
    assert_eq!(accounts.enter(&half, &recovery[1]).await.status(), 403);
    // A password set by a link doesn't switch the second factor off.
    let half = accounts.half_session(&ann.email).await;
    let session = cookie_in(&accounts.enter(&half, &recovery[1]).await, "session").unwrap();

    // Sensitive changes ask for both.
    let session = By::Session(session);
    let off = "/account/second-factor/off";
    sqlx::raw_sql("update sessions set authenticated_at = null")
        .execute(&accounts.app.pool)
        .await
        .unwrap();
    let asked = accounts.form(off, &[], &session).await;
    assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);
    assert!(
        asked
            .text()
            .await
            .unwrap()
            .contains("name=\"confirm_code\"")
    );
    let password = password_of(&ann.email);
    let confirm = async |code: &str| {
        let fields = [
            ("confirm_page", "/account"),
            ("confirm_password", &*password),
            ("confirm_code", code),
        ];
        accounts.form(off, &fields, &session).await
    };
    for wrong in ["", "000000", &recovery[1]] {
        let refused = confirm(wrong).await;
        assert_eq!(
            refused.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
        let page = refused.text().await.unwrap();
        assert!(page.contains("The password or the code isn"), "{page}");
    }
    let confirmed = confirm(&recovery[2]).await;
    assert_eq!(location(&confirmed), "/account?after=second-factor-off");
    accounts.signed_in(&ann.email).await;

    let done = |what: &str| format!("sign_in done {} {what}", ann.id);
    let refused = format!("sign_in refused {} code", ann.id);
    let audited =
        accounts.audited_kinds("'sign_in', 'set_second_factor', 'remove_second_factor', 'confirm'");
    let audited = audited.await;
    let audited: Vec<_> = audited
        .iter()
        .filter(|it| it.contains(&format!(" {}", ann.id)))
        .collect();
    let expected = [
        vec![
            done("password"),
            done("password"),
            format!("set_second_factor done {}", ann.id),
        ],
        vec![refused.clone(); 4],
        vec![
            done("password and code"),
            refused.clone(),
            done("password and recovery code"),
        ],
        vec![refused; 5],
        vec![done("password and recovery code")],
        vec![format!("confirm refused {} code", ann.id); 3],
        vec![
            format!("confirm done {} password and recovery code", ann.id),
            format!("remove_second_factor done {}", ann.id),
            done("password"),
        ],
    ];
    assert_eq!(audited, expected.concat().iter().collect::<Vec<_>>());
}

/// After a double click, a browser shows the second response.
#[tokio::test]
async fn recovery_codes_are_shown_if_the_first_code_is_sent_twice() {
    let accounts = Accounts::start().await;
    let by = By::from(&accounts.admin);
    let page = accounts.form("/account/second-factor", &[], &by).await;
    let code = App::scanned(&page.text().await.unwrap()).code(0);
    let turn_on = async || {
        let path = "/account/second-factor/code";
        let turned_on = accounts.form(path, &[("code", &*code)], &by).await;
        assert_eq!(turned_on.status(), StatusCode::CREATED);
        turned_on.text().await.unwrap()
    };
    let page = turn_on().await;
    assert!(page.contains("<code class=\"secret\">"), "{page}");
    let same = turn_on().await == page;
    assert!(same, "{page}");
}

/// After a double click, a browser shows the second response, and drops the first one with its cookies.
#[tokio::test]
async fn a_code_that_is_sent_twice_is_used_once() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let (_, _, codes) = accounts.set_up(&ann).await;
    let recovery = &*codes[0];
    let half = accounts.half_session(&ann.email).await;
    // The first request is dropped before its change is committed.
    let pool = &accounts.app.pool;
    let mut locked = pool.begin().await.unwrap();
    sqlx::query("lock table audit_events in exclusive mode")
        .execute(&mut *locked)
        .await
        .unwrap();
    tokio::select! {
        _ = accounts.enter(&half, recovery) => panic!("the table is locked"),
        () = accounts.app.waiting("relation", 1) => {}
    }
    let second = accounts.enter(&half, recovery);
    let (second, ()) = tokio::join!(second, async { locked.rollback().await.unwrap() });
    let third = accounts.enter(&half, recovery).await;
    let session = cookie_in(&second, "session").unwrap();
    assert_eq!(cookie_in(&third, "session").as_ref(), Some(&session));
    for response in [&second, &third] {
        assert_eq!(location(response), "/formats");
        assert_eq!(cookie_in(response, HALF_SESSION).as_deref(), Some(""));
    }
    assert!(accounts.is_signed_in(&session).await);
    // Whoever knows only the code gets nothing.
    let other = accounts.half_session(&ann.email).await;
    for (half, status) in [(&*other, 422), ("invented", 403)] {
        let refused = accounts.enter(half, recovery).await;
        assert_eq!(refused.status(), status);
        assert_eq!(cookie_in(&refused, "session"), None);
    }
}

#[tokio::test]
async fn an_admin_removes_a_lost_second_factor() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    accounts.set_up(&ann).await;
    let admin = By::from(&accounts.admin);
    let path = format!("/users/{}/remove-second-factor", ann.id);
    let page = accounts.page(&format!("/users/{}", ann.id), &admin).await;
    assert!(page.text().await.unwrap().contains(&path));
    let removed = accounts.form(&path, &[], &admin).await;
    assert_eq!(location(&removed), format!("/users/{}#sign-in", ann.id));
    let status = accounts.get("/users", &By::from(&ann)).await.status();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    accounts.signed_in(&ann.email).await;
    let page = accounts.page(&format!("/users/{}", ann.id), &admin).await;
    assert!(!page.text().await.unwrap().contains(&path));
    let removed: i64 = sqlx::query_scalar(
        "select count(*) from audit_events where kind = 'remove_second_factor' and actor_id = $1 and user_id = $2",
    )
    .bind(accounts.admin.id)
    .bind(ann.id)
    .fetch_one(&accounts.app.pool)
    .await
    .unwrap();
    assert_eq!(removed, 1);

    // The command line helps the last admin.
    accounts.set_up(&accounts.admin).await;
    let email = &accounts.admin.email;
    accounts.half_session(email).await;
    let created = accounts.app.server_program(
        &["create-admin", "--email", email, "--name", "Root"],
        &[],
        &password_of(email),
    );
    assert!(created.status.success(), "{created:?}");
    accounts.signed_in(email).await;
}

#[tokio::test]
async fn guesses_at_codes_count_as_attempts_to_sign_in() {
    let accounts = Accounts::start_set(&[("MAX_SIGN_INS_PER_ACCOUNT", "6")]).await;
    let ann = accounts.member("ann").await;
    accounts.set_up(&ann).await;
    // The first attempt was made by `member`.
    let half = accounts.half_session(&ann.email).await;
    for _ in 0..4 {
        assert_eq!(accounts.enter(&half, "000000").await.status(), 422);
    }
    let limited = accounts.enter(&half, "000000").await;
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_required_second_factor_is_set_up_before_anything_else() {
    let accounts = Accounts::start_set(&[("SECOND_FACTOR", "required")]).await;
    let root = By::from(&accounts.admin);
    for path in ["/", "/account", "/accounts", "/users"] {
        let led = accounts.page(path, &root).await;
        assert_eq!(led.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(location(&led), "/account/second-factor", "{path}");
    }
    let fields = [("name", "Ann"), ("email", "ann@example.com")];
    let led = accounts.form("/accounts", &fields, &root).await;
    assert_eq!(location(&led), "/account/second-factor");
    let refused = accounts.get("/users", &root).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/second-factor-required");
    assert_eq!(accounts.socket_at("/ws", &root).await.err(), Some(403));
    let page = accounts.page("/account/second-factor", &root).await;
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Everybody here needs two-step sign-in."),
        "{page}"
    );

    accounts.set_up(&accounts.admin).await;
    assert_eq!(accounts.get("/users", &root).await.status(), StatusCode::OK);
    let kept = accounts
        .form("/account/second-factor/off", &[], &root)
        .await;
    assert_eq!(kept.status(), StatusCode::CONFLICT);
    // So does everybody else.
    let link = accounts.new_user("ann", "ann@example.com").await;
    accounts
        .set_password(&link, &password_of("ann@example.com"))
        .await;
    let ann = accounts.signed_in("ann@example.com").await;
    let led = accounts.page("/", &By::from(&ann)).await;
    assert_eq!(location(&led), "/account/second-factor");
    accounts.set_up(&ann).await;
    let page = accounts.page("/", &By::from(&ann)).await;
    assert_eq!(location(&page), format!("/users/{}", ann.id));

    let settings = [("AUTH", "open")];
    let output = accounts.app.server_program(&[], &settings, "");
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = "SECOND_FACTOR=required needs AUTH=password";
    assert!(said.contains(expected), "{said}");
}

#[tokio::test]
async fn the_cookie_of_a_half_session_is_like_that_of_a_session() {
    let accounts = Accounts::start_set(&[
        ("ALLOWED_HOSTS", "batchline.example.com"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
    ])
    .await;
    accounts.set_up(&accounts.admin).await;
    let email = &accounts.admin.email;
    let body = format!("email={email}&password={}", password_of(email)).replace(' ', "+");
    let request = format!(
        "POST /sign-in HTTP/1.1\r\nHost: batchline.example.com\r\nX-Forwarded-Proto: https\r\nAccept: text/html\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(&accounts.app.web, request).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-half-session="), "{cookie}");
    for attribute in [
        "Secure",
        "HttpOnly",
        "SameSite=Lax",
        "Path=/",
        "Max-Age=300",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
}

#[tokio::test]
async fn a_new_password_needs_a_code_and_wrong_codes_have_an_end() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let (app, _, recovery) = accounts.set_up(&ann).await;
    let change = async |code: &str| {
        let fields = [
            ("current_password", &*password_of(&ann.email)),
            ("new_password", "quite an odd phrase"),
            ("code", code),
        ];
        let by = By::from(&ann);
        accounts.form("/account/password", &fields, &by).await
    };
    let page = change("").await.text().await.unwrap();
    assert!(page.contains("right, or was used before"), "{page}");
    sqlx::raw_sql("update second_factors set wrong_codes = 99")
        .execute(&accounts.app.pool)
        .await
        .unwrap();
    // The hundredth wrong code. From now on, the app's codes aren't accepted.
    for code in ["000000", &app.code(1)] {
        assert_eq!(change(code).await.status(), 422, "{code}");
    }
    let changed = change(&recovery[0]).await;
    assert_eq!(location(&changed), "/account?after=password");
    let wrong: i32 = sqlx::query_scalar("select wrong_codes from second_factors")
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    assert_eq!(wrong, 0);
}
