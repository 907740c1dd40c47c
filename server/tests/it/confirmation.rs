//! Sensitive changes ask who the user is, if the session was authenticated too long ago.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{Browser, OpenIdProvider, eventually},
    people::{Accounts, By, location, password_of, session_in},
};

const ASKS: &str = "<h1>Confirm it's you</h1>";

/// The path of a form, its fields, and who posts it.
type Change<'a> = (String, &'a [(&'a str, &'a str)], &'a By);

impl Accounts {
    /// Makes all sessions as old as this.
    async fn age_sessions(&self, authenticated_at: &str) {
        sqlx::raw_sql(&format!(
            "update sessions set authenticated_at = {authenticated_at}"
        ))
        .execute(&self.app.pool)
        .await
        .unwrap();
    }

    async fn count(&self, sql: &str) -> i64 {
        let counted = sqlx::query_scalar(sql).fetch_one(&self.app.pool);
        counted.await.unwrap()
    }
}

/// Returns the page, with plain apostrophes.
async fn text(response: Response) -> String {
    let text = response.text().await.unwrap();
    text.replace("&#39;", "'").replace("&#x27;", "'")
}

/// Returns the action and the hidden fields of the form on the page that asks, or that continues.
fn form_on(page: &str) -> (String, Vec<(String, String)>) {
    let main = &page[page.find("<main").unwrap()..];
    let form = &main[main.find("<form method=\"post\"").unwrap()..];
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split('"').next().unwrap().replace("&amp;", "&"))
    };
    let form = &form[..form.find("</form>").unwrap()];
    let fields = form.split("<input").skip(1).filter_map(|input| {
        let input = input.split('>').next().unwrap();
        let is_hidden = input.contains("type=\"hidden\"");
        Some((attribute(input, "name")?, attribute(input, "value")?)).filter(|_| is_hidden)
    });
    (attribute(form, "action").unwrap(), fields.collect())
}

/// Returns the path of the link to the provider.
fn link_to_provider(page: &str) -> String {
    let start = page.find("/sign-in/openid?confirm=yes").unwrap();
    let link = page[start..].split('"').next().unwrap();
    link.replace("&amp;", "&")
}

const LONG_AGO: &str = "now() - interval '10 minutes 1 second'";

#[tokio::test]
async fn sensitive_changes_ask_who_the_user_is() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let ben = accounts.member("ben").await;
    let by_admin = By::from(&accounts.admin);
    let token = By::Token(accounts.token(&accounts.admin, "write").await);
    let other_session = accounts.signed_in(&ann.email).await;
    let id = accounts
        .count("select max(id) from sessions")
        .await
        .to_string();
    let (of_ben, ben_id) = (
        |what: &str| format!("/users/{}/{what}", ben.id),
        ben.id.to_string(),
    );
    let token_fields = [("name", "n & \"m\""), ("scope", "write"), ("days", "30")];
    let email = [
        ("user_id", &*ben_id),
        ("name", "ben"),
        ("email", "b2@example.com"),
    ];
    let member = [("name", "Eve"), ("email", "eve@example.com")];
    let changes: [Change; 16] = [
        ("/account/tokens".to_owned(), &token_fields, &By::from(&ann)),
        (format!("/account/sessions/{id}/end"), &[], &By::from(&ann)),
        (
            "/account/end-other-sessions".to_owned(),
            &[],
            &By::from(&ann),
        ),
        (of_ben("role"), &[("role", "admin")], &by_admin),
        (of_ben("password-link"), &[], &by_admin),
        (of_ben("forget-provider"), &[], &by_admin),
        (of_ben("end-access"), &[], &by_admin),
        (of_ben("lock"), &[], &by_admin),
        (of_ben("unlock"), &[], &by_admin),
        (of_ben("remove-second-factor"), &[], &by_admin),
        ("/account/second-factor".to_owned(), &[], &By::from(&ann)),
        (
            "/account/second-factor/off".to_owned(),
            &[],
            &By::from(&ann),
        ),
        ("/rpc/create-user".to_owned(), &member, &by_admin),
        ("/accounts".to_owned(), &member, &by_admin),
        ("/rpc/update-user".to_owned(), &email, &by_admin),
        (
            "/rpc/delete-user".to_owned(),
            &[("user_id", &ben_id)],
            &by_admin,
        ),
    ];
    let state = async || {
        let users = "select md5(string_agg(users::text, ' ' order by id)) from users";
        let state: (String, i64, i64, i64) = sqlx::query_as(&format!(
            "select ({users}), (select count(*) from sessions), (select count(*) from api_tokens),
                    (select count(*) from password_links)"
        ))
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
        state
    };
    let before = state().await;
    // Sessions of an earlier version, and those that began while the clock was ahead, aren't authenticated either.
    for age in ["null", "now() + interval '11 minutes'", LONG_AGO] {
        accounts.age_sessions(age).await;
        for (path, fields, by) in &changes {
            let asked = accounts.form(path, fields, by).await;
            assert_eq!(asked.status(), StatusCode::UNAUTHORIZED, "{path}");
            let page = text(asked).await;
            assert!(page.contains(ASKS), "{path}: {page}");
            // Nothing of what was typed is lost.
            let (action, kept) = form_on(&page);
            assert_eq!(action, *path);
            for (name, value) in *fields {
                let is_kept = kept
                    .iter()
                    .any(|(kept, text)| kept == name && text.replace("&quot;", "\"") == *value);
                assert!(is_kept, "{path} {name}: {kept:?}");
            }
        }
    }
    // A program in a session gets a problem, and a script of a page an error.
    let user = format!("/users/{}", ben.id);
    let patch = async |change: Value, by: &By| {
        let request = accounts.api(Method::PATCH, &user, by).json(&change);
        request.send().await.unwrap()
    };
    let refused = patch(json!({"email": "b2@example.com"}), &by_admin).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("insufficient_user_authentication"));
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/confirmation-required");
    let deleted = accounts.api(Method::DELETE, &user, &by_admin).send().await;
    assert_eq!(deleted.unwrap().status(), StatusCode::UNAUTHORIZED);
    let create = accounts.api(Method::POST, "/users", &by_admin);
    let created = create.json(&json!({"name": "Eve", "email": "eve@example.com"}));
    let created = created.send().await.unwrap();
    assert_eq!(created.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(state().await, before);
    // Other changes don't ask, and tokens do what they did.
    for by in [&by_admin, &token] {
        let renamed = patch(json!({"name": "ben", "email": ben.email}), by).await;
        assert_eq!(renamed.status(), StatusCode::OK);
    }
    let same = [
        ("user_id", &*ben_id),
        ("name", "ben"),
        ("email", &*ben.email),
    ];
    let saved = accounts.form("/rpc/update-user", &same, &by_admin).await;
    assert!(!text(saved).await.contains(ASKS));

    // With the wrong password, the page asks again, with the same fields.
    let (path, fields, by_ann) = &changes[0];
    let with = |password: &'static str| {
        let password = match password {
            "" => password_of(&ann.email),
            wrong => wrong.to_owned(),
        };
        let page = ("confirm_page".to_owned(), "/account".to_owned());
        let own = [("confirm_password".to_owned(), password), page];
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        fields.chain(own).collect::<Vec<_>>()
    };
    let send = async |fields: Vec<(String, String)>, by: &By| {
        let fields: Vec<_> = fields.iter().map(|(a, b)| (&**a, &**b)).collect();
        accounts.form(path, &fields, by).await
    };
    let wrong = send(with("not the password"), by_ann).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = text(wrong).await;
    assert!(page.contains("That isn't your password."), "{page}");
    assert!(form_on(&page).1.iter().any(|(name, _)| name == "days"));
    // With the right one, the change goes on, and the session has a new secret.
    let created = send(with(""), by_ann).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let renewed = By::Session(session_in(&created));
    let page = text(created).await;
    assert!(
        page.contains("The token \"") && page.contains("n &amp; \"m\""),
        "{page}"
    );
    let status = accounts.get("/users", by_ann).await.status();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // Now the next one doesn't ask.
    let created = accounts.form(path, fields, &renewed).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let other = By::from(&other_session);
    let asked = accounts.form(path, fields, &other).await;
    assert!(text(asked).await.contains(ASKS));

    // The form of a server function leads to where it always leads.
    let fields = [
        ("user_id", &*ben_id),
        ("confirm_page", "//evil.example"),
        ("confirm_password", &*password_of(&accounts.admin.email)),
    ];
    let url = format!("{}/rpc/delete-user", accounts.app.web);
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    let deleted = accounts
        .request(Method::POST, url.clone(), &by_admin)
        .header("accept", "text/html")
        .header("referer", url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.finish())
        .send()
        .await
        .unwrap();
    assert_eq!(location(&deleted), "/users");
    assert_eq!(accounts.count("select count(*) from users").await, 2);

    let audited: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', outcome, actor_id, user_id, detail) from audit_events where kind = 'confirm' order by id",
    )
    .fetch_all(&accounts.app.pool)
    .await
    .unwrap();
    let (ann, admin) = (ann.id, accounts.admin.id);
    assert_eq!(
        audited,
        [
            format!("refused {ann} {ann} password"),
            format!("done {ann} {ann} password"),
            format!("done {admin} {admin} password"),
        ]
    );
}

/// Without JavaScript, a browser sends a form twice after a double click. It drops the first request, and shows the
/// response to the second.
#[tokio::test]
async fn a_form_that_is_sent_twice_confirms_once() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    accounts.age_sessions(LONG_AGO).await;
    let by = By::from(&ann);
    let password = password_of(&ann.email);
    let fields = |name| {
        let own = [
            ("confirm_page", "/account"),
            ("confirm_password", &*password),
        ];
        let fields = [("name", name), ("scope", "read"), ("days", "7")];
        [&fields[..], &own].concat()
    };
    let fields_of_first = fields("nightly");
    // The first request is dropped when the session already has a new secret, and before the token is created.
    let pool = &accounts.app.pool;
    let mut locked = pool.begin().await.unwrap();
    sqlx::query("lock table api_tokens in exclusive mode")
        .execute(&mut *locked)
        .await
        .unwrap();
    let is_confirmed = async || {
        let confirmed = "select count(*) from audit_events where kind = 'confirm'";
        (accounts.count(confirmed).await == 1).then_some(())
    };
    tokio::select! {
        _ = accounts.form("/account/tokens", &fields_of_first, &by) => panic!("the table is locked"),
        () = eventually("a confirmation", is_confirmed) => {}
    }
    let second = accounts.form("/account/tokens", &fields_of_first, &by);
    let (second, ()) = tokio::join!(second, async { locked.rollback().await.unwrap() });
    let third = accounts
        .form("/account/tokens", &fields_of_first, &by)
        .await;
    let renewed = session_in(&second);
    assert_eq!(session_in(&third), renewed);
    assert_eq!(second.status(), StatusCode::CREATED);
    assert_eq!(third.status(), StatusCode::CREATED);
    let page = text(second).await;
    assert!(page.contains("id=\"new-token\""), "{page}");
    assert_eq!(text(third).await, page);
    let tokens = "select count(*) from api_tokens";
    assert_eq!(accounts.count(tokens).await, 1);
    // The old secret is good for nothing else, and the new one for everything.
    let other = accounts
        .form("/account/tokens", &fields("another"), &by)
        .await;
    assert_eq!(location(&other), "/sign-in");
    let renewed = By::Session(renewed);
    let other = accounts
        .form("/account/tokens", &fields("another"), &renewed)
        .await;
    assert_eq!(other.status(), StatusCode::CREATED);
    assert_eq!(accounts.count(tokens).await, 2);
}

#[tokio::test]
async fn guesses_at_the_confirmation_are_limited() {
    let accounts = Accounts::start_set(&[("MAX_SIGN_INS_PER_ACCOUNT", "3")]).await;
    let by = By::from(&accounts.admin);
    accounts.age_sessions(LONG_AGO).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let fields = [("confirm_page", "/account"), ("confirm_password", "wrong")];
        let response = accounts.form("/account/end-other-sessions", &fields, &by);
        let response = response.await;
        statuses.push(response.status().as_u16());
        let has_time = response.headers().contains_key("retry-after");
        assert_eq!(has_time, response.status() == 429);
    }
    assert_eq!(statuses, [422, 422, 422, 429]);
}

#[tokio::test]
async fn the_provider_confirms_who_the_user_is() {
    let provider = OpenIdProvider::start(&[]);
    let mut settings = provider.settings();
    settings.push(("OIDC_CREATE_USERS", "true"));
    let accounts = Accounts::start_set(&settings).await;
    let claims = |email: &str| json!({"email": email, "email_verified": true});
    provider.knows("a1", claims("ann@example.com")).await;
    provider.knows("b1", claims("ben@example.com")).await;
    let web = accounts.app.web.clone();
    let through = async |browser: &mut Browser, path: &str, subject: &str| {
        let to = location(&browser.get(&format!("{web}{path}")).await);
        let back = provider.sign_in(&to, subject).await;
        (to, browser.get(&back).await)
    };
    let mut browser = Browser::default();
    through(&mut browser, "/sign-in/openid", "a1").await;
    let form = "name=nightly&scope=read&days=7".to_owned();
    let url = format!("{web}/account/tokens");
    let tokens = "select count(*) from api_tokens";
    // The provider said that they have just authenticated there.
    let created = browser.post(&url, form.replace("nightly", "first")).await;
    assert_eq!(created.status(), StatusCode::CREATED);

    accounts.age_sessions(LONG_AGO).await;
    let asked = browser.post(&url, form.clone()).await;
    assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);
    let page = text(asked).await;
    assert!(page.contains(ASKS) && !page.contains("assword"), "{page}");
    let confirm = link_to_provider(&page);
    // Another account there, one that authenticated there long ago, and a provider that doesn't say when.
    for (subject, flaw, sentence) in [
        ("b1", "none", "That is another user's Example account."),
        (
            "a1",
            "old",
            "Example doesn't confirm that you signed in just now.",
        ),
        (
            "a1",
            "undated",
            "Example doesn't confirm that you signed in just now.",
        ),
        (
            "a1",
            "undated",
            "Example doesn't confirm that you signed in just now.",
        ),
    ] {
        provider.has_flaw(flaw).await;
        let (to, refused) = through(&mut browser, &confirm, subject).await;
        assert!(
            to.contains("prompt=login") && to.contains("max_age=0"),
            "{to}"
        );
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{flaw}");
        let page = text(refused).await;
        assert!(page.contains(sentence) && page.contains(ASKS), "{page}");
        let asked = browser.post(&url, form.clone()).await;
        assert_eq!(asked.status(), StatusCode::UNAUTHORIZED, "{flaw}");
    }
    // The log says once what to do if the provider never says when.
    const SETTING: &str = "OIDC_CHECK_AUTH_TIME=false";
    accounts.app.logged(&[SETTING]).await;
    let printed = accounts.app.printed();
    let lines = printed.iter().filter(|line| line.contains(SETTING));
    assert_eq!(lines.count(), 1);
    // Signing in again isn't enough either, if the provider lets them in without asking.
    provider.has_flaw("old").await;
    let mut again = browser.clone();
    through(&mut again, "/sign-in/openid", "a1").await;
    let asked = again.post(&url, form.clone()).await;
    assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);

    provider.has_flaw("none").await;
    let mut browser = again;
    let before = browser.cookies["session"].clone();
    let (_, confirmed) = through(&mut browser, &confirm, "a1").await;
    let form_page = format!("{web}{}", location(&confirmed));
    assert!(form_page.starts_with(&format!("{web}/confirm?form=")));
    assert_ne!(browser.cookies["session"], before);
    let page = text(browser.get(&form_page).await).await;
    let (action, fields) = form_on(&page);
    assert_eq!(action, "/account/tokens");
    let mut kept = url::form_urlencoded::Serializer::new(String::new());
    kept.extend_pairs(fields);
    assert_eq!(accounts.count(tokens).await, 1);
    let created = browser.post(&url, kept.finish()).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(accounts.count(tokens).await, 2);
    // The form is offered once.
    let page = browser.get(&form_page).await;
    assert_eq!(location(&page), "/account");

    // Two tabs are at the provider at the same time. Each gets its own form back, in any order.
    accounts.age_sessions(LONG_AGO).await;
    let mut tabs = Vec::new();
    for name in ["one", "two"] {
        let form = form.replace("nightly", name);
        let page = text(browser.post(&url, form).await).await;
        let link = format!("{web}{}", link_to_provider(&page));
        tabs.push((name, location(&browser.get(&link).await)));
    }
    for (name, to) in tabs.iter().rev() {
        let back = provider.sign_in(to, "a1").await;
        let to = location(&browser.get(&back).await);
        let page = text(browser.get(&format!("{web}{to}")).await).await;
        let fields = form_on(&page).1;
        assert!(fields.contains(&("name".to_owned(), (*name).to_owned())));
    }
    // Nothing is left over, and what is given up doesn't fill the browser.
    let waiting = |browser: &Browser| {
        let names = browser.cookies.keys();
        let kept = names.filter(|name| name.starts_with("form-") || name.starts_with("openid-"));
        kept.count()
    };
    assert_eq!(waiting(&browser), 0);
    accounts.age_sessions(LONG_AGO).await;
    for number in 0..7 {
        let form = form.replace("nightly", &number.to_string());
        let page = text(browser.post(&url, form).await).await;
        let link = format!("{web}{}", link_to_provider(&page));
        browser.get(&link).await;
    }
    assert_eq!(waiting(&browser), 2 * 5);
    let ann = accounts.count("select id from users where email = 'ann@example.com'");
    let ann = ann.await;
    let audited: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', outcome, actor_id, detail) from audit_events where kind = 'confirm' order by id",
    )
    .fetch_all(&accounts.app.pool)
    .await
    .unwrap();
    let refused = |reason: &str| format!("refused {ann} openid connect: {reason}");
    assert_eq!(
        audited,
        [
            refused("another user, ben@example.com"),
            refused("no recent authentication, ann@example.com"),
            refused("no recent authentication, ann@example.com"),
            refused("no recent authentication, ann@example.com"),
            format!("done {ann} openid connect"),
            format!("done {ann} openid connect"),
            format!("done {ann} openid connect"),
        ]
    );
}
