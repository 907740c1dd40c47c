//! Signing in through an OpenID Connect provider, and attempts to impersonate somebody.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::{
    harness::{Browser, OpenIdProvider, TestApp, eventually, raw},
    people::{Accounts, By, Person, location, password_of},
};

const BEGIN: &str = "/sign-in/openid";

impl Accounts {
    async fn start_with(provider: &OpenIdProvider, settings: &[(&'static str, &str)]) -> Self {
        Self::start_set(&[&provider.settings(), settings].concat()).await
    }

    /// Clicks the button in this browser. Returns the URL to which it redirects.
    async fn begin(&self, browser: &mut Browser, path: &str) -> String {
        let response = browser.get(&format!("{}{path}", self.app.web)).await;
        location(&response)
    }

    /// Signs in as this person of the provider.
    async fn with_provider(
        &self,
        browser: &mut Browser,
        provider: &OpenIdProvider,
        subject: &str,
    ) -> Response {
        let to = self.begin(browser, BEGIN).await;
        let back = provider.sign_in(&to, subject).await;
        browser.get(&back).await
    }

    /// Returns the id and role of the signed-in user.
    async fn user_of(&self, browser: &Browser) -> (i64, String) {
        let secret = browser.cookies.get("session").expect("a session");
        let by = By::Session(secret.clone());
        assert_eq!(self.page("/account", &by).await.status(), StatusCode::OK);
        sqlx::query_as(
            "select users.id, role from sessions join users on users.id = user_id
             where secret_hash = sha256(convert_to($1, 'UTF8'))",
        )
        .bind(secret)
        .fetch_one(&self.app.pool)
        .await
        .unwrap()
    }

    /// Creates a token for the signed-in user.
    async fn token_of(&self, browser: &Browser) -> By {
        let person = Person {
            id: 0,
            email: String::new(),
            session: browser.cookies["session"].clone(),
        };
        By::Token(self.token(&person, "read").await)
    }

    /// Creates a user without a password, as an admin.
    async fn user(&self, name: &str) -> i64 {
        let email = format!("{name}@example.com");
        self.new_user(name, &email).await;
        sqlx::query_scalar("select id from users where email = $1")
            .bind(email)
            .fetch_one(&self.app.pool)
            .await
            .unwrap()
    }

    /// Returns the audit events about signing in through the provider, oldest first.
    async fn audited(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select concat_ws(' ', kind, outcome, user_id, detail) from audit_events
             where detail like '%openid connect%' or kind in ('link_provider', 'forget_provider') order by id",
        )
        .fetch_all(&self.app.pool)
        .await
        .unwrap()
    }
}

async fn refused(response: Response, status: u16, sentence: &str) {
    let found = response.status();
    let begun = response.headers().get("set-cookie").cloned();
    let page = response.text().await.unwrap();
    let page = page.replace("&#39;", "'").replace("&#x27;", "'");
    assert_eq!(found, status, "{page}");
    assert!(page.contains(sentence), "{sentence}: {page}");
    let begun = begun.map(|cookie| cookie.to_str().unwrap().to_owned());
    assert!(
        begun.is_none_or(|cookie| !cookie.starts_with("session=")),
        "{page}"
    );
}

fn claims(email: &str, email_verified: bool) -> Value {
    json!({"email": email, "email_verified": email_verified, "name": "From Example"})
}

/// Returns the name and the value of the only cookie of a sign-in.
fn begun_in(browser: &Browser) -> (String, String) {
    let cookies = browser.cookies.iter();
    let mut begun = cookies.filter(|(name, _)| name.starts_with("openid-"));
    let (name, value) = begun.next().unwrap();
    assert!(begun.next().is_none(), "{:?}", browser.cookies);
    (name.clone(), value.clone())
}

#[tokio::test]
async fn a_subject_identifies_a_user_and_an_email_address_only_once() {
    let provider = OpenIdProvider::start(&[]);
    let accounts = Accounts::start_with(&provider, &[]).await;
    let (ann, ben) = (accounts.user("ann").await, accounts.user("ben").await);
    provider.knows("a1", claims("ann@example.com", true)).await;

    // The page offers both ways, a form and a link, which work without JavaScript.
    let page = accounts.page("/sign-in?next=%2Fformats", &By::Nobody).await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self';"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(page.contains("name=\"password\""), "{page}");
    assert!(
        page.contains(
            "href=\"/sign-in/openid?next=%2Fformats\" class=\"button\">Sign in with Example</a>"
        ),
        "{page}"
    );

    let mut browser = Browser::default();
    let to = accounts
        .begin(&mut browser, "/sign-in/openid?next=%2Fformats%3Fa%3Db")
        .await;
    let back = provider.sign_in(&to, "a1").await;
    let signed_in = browser.get(&back).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&signed_in), "/formats?a=b");
    assert_eq!(accounts.user_of(&browser).await.0, ann);
    // The sign-in is over.
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["session"]);

    // Somebody who gets the address later doesn't become the user, and the user stays who they are.
    provider.knows("a2", claims("ANN@example.com", true)).await;
    provider.knows("a1", claims("ben@example.com", true)).await;
    let response = accounts
        .with_provider(&mut Browser::default(), &provider, "a2")
        .await;
    refused(response, 403, "signs in with another Example account").await;
    let mut again = Browser::default();
    accounts.with_provider(&mut again, &provider, "a1").await;
    assert_eq!(accounts.user_of(&again).await.0, ann);

    // An address that the provider hasn't verified finds nobody.
    for unverified in [
        claims("ben@example.com", false),
        json!({"email": "ben@example.com"}),
        json!({"email": "ben@example.com", "email_verified": null}),
    ] {
        provider.knows("b1", unverified).await;
        let response = accounts
            .with_provider(&mut Browser::default(), &provider, "b1")
            .await;
        refused(response, 403, "Example hasn't verified your email address").await;
    }
    provider.knows("b1", json!({"name": "Ben"})).await;
    let response = accounts
        .with_provider(&mut Browser::default(), &provider, "b1")
        .await;
    refused(response, 403, "didn't provide your email address").await;
    provider.knows("c1", claims("carl@example.com", true)).await;
    let response = accounts
        .with_provider(&mut Browser::default(), &provider, "c1")
        .await;
    refused(response, 403, "There is no user with your email address").await;

    // An admin can unlink a person, who then becomes another account.
    let path = format!("/users/{ann}/forget-provider");
    let by_admin = By::from(&accounts.admin);
    let token = accounts.token_of(&again).await;
    let page = accounts.page(&format!("/users/{ann}"), &by_admin).await;
    assert!(page.text().await.unwrap().contains(&path));
    accounts.form(&path, &[], &by_admin).await;
    for ended in [By::Session(again.cookies["session"].clone()), token] {
        let status = accounts.get("/users", &ended).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{ended:?}");
    }
    let mut other = Browser::default();
    accounts.with_provider(&mut other, &provider, "a2").await;
    assert_eq!(accounts.user_of(&other).await.0, ann);
    // a1 has ben's address now.
    let mut first = Browser::default();
    accounts.with_provider(&mut first, &provider, "a1").await;
    assert_eq!(accounts.user_of(&first).await.0, ben);

    // A locked user stays out, whatever the provider says.
    accounts
        .form(&format!("/users/{ben}/lock"), &[], &by_admin)
        .await;
    let response = accounts
        .with_provider(&mut Browser::default(), &provider, "a1")
        .await;
    refused(response, 403, "Your account is locked.").await;

    let refused = |reason: &str| format!("sign_in refused openid connect: {reason}");
    let signed_in = |user: i64| format!("sign_in done {user} openid connect");
    let linked = |user: i64, name: &str| format!("link_provider done {user} {name}@example.com");
    let unverified = refused("email address not verified, ben@example.com");
    assert_eq!(
        accounts.audited().await,
        [
            linked(ann, "ann"),
            signed_in(ann),
            refused("email address of another subject, ANN@example.com"),
            signed_in(ann),
            unverified.clone(),
            unverified.clone(),
            unverified,
            refused("no email address"),
            refused("no such user, carl@example.com"),
            format!("forget_provider done {ann}"),
            linked(ann, "ann"),
            signed_in(ann),
            linked(ben, "ben"),
            signed_in(ben),
            format!("sign_in refused {ben} openid connect: locked"),
        ]
    );
}

#[tokio::test]
async fn the_provider_can_decide_who_signs_in_and_who_is_an_admin() {
    let provider = OpenIdProvider::start(&[("CLAIMS_IN_ID_TOKEN", "1")]);
    let settings = [
        ("OIDC_EMAIL_DOMAINS", "example.org, Example.com"),
        ("OIDC_CREATE_USERS", "true"),
        ("OIDC_ADMIN_CLAIM", "groups"),
        ("OIDC_ADMIN_VALUES", "operators,batchline admins"),
    ];
    let accounts = Accounts::start_with(&provider, &settings).await;
    let sign_in = async |claims: Value| {
        provider.knows("z1", claims).await;
        let mut browser = Browser::default();
        let response = accounts.with_provider(&mut browser, &provider, "z1").await;
        (browser, response)
    };
    let (_, response) = sign_in(claims("zoe@example.com", false)).await;
    refused(response, 403, "hasn't verified your email address").await;
    for elsewhere in ["zoe@example.net", "zoe@sub.example.com", "zoe@xexample.com"] {
        let (_, response) = sign_in(claims(elsewhere, true)).await;
        refused(response, 403, "People with your email address can't").await;
    }
    let with_groups = |groups: Value| {
        let mut claims = claims("zoe@EXAMPLE.com", true);
        claims["groups"] = groups;
        claims
    };
    let (browser, _) = sign_in(with_groups(json!(["staff"]))).await;
    let (zoe, mut role) = accounts.user_of(&browser).await;
    assert_eq!(role, "member");
    let mut token = accounts.token_of(&browser).await;
    let (name, email): (String, String) =
        sqlx::query_as("select name, email from users where id = $1")
            .bind(zoe)
            .fetch_one(&accounts.app.pool)
            .await
            .unwrap();
    assert_eq!(
        (name.as_str(), email.as_str()),
        ("From Example", "zoe@EXAMPLE.com")
    );
    for (groups, expected) in [
        (json!(["staff", "batchline admins"]), "admin"),
        (json!("operators"), "admin"),
        (json!(["Operators"]), "member"),
        (json!(null), "member"),
    ] {
        let (browser, _) = sign_in(with_groups(groups)).await;
        assert_eq!(accounts.user_of(&browser).await, (zoe, expected.to_owned()));
        // A token lasts until the role changes.
        let is_valid = accounts.get("/users", &token).await.status() == StatusCode::OK;
        assert_eq!(is_valid, role == expected, "{expected}");
        role = expected.to_owned();
        token = accounts.token_of(&browser).await;
    }
    // Somebody who has left the domain is refused.
    let (_, response) = sign_in(claims("zoe@example.net", true)).await;
    refused(response, 403, "People with your email address can't").await;
    let changes: Vec<String> = sqlx::query_scalar(
        "select detail from audit_events where kind in ('create_user', 'change_role') and user_id = $1 order by id",
    )
    .bind(zoe)
    .fetch_all(&accounts.app.pool)
    .await
    .unwrap();
    let by = |role: &str| format!("{role} by openid connect");
    assert_eq!(
        changes,
        ["zoe@EXAMPLE.com".to_owned(), by("admin"), by("member")]
    );
}

#[tokio::test]
async fn without_passwords_their_pages_do_not_exist() {
    let provider = OpenIdProvider::start(&[]);
    let mut settings = provider.settings();
    settings.push(("AUTH", "oidc"));
    let app = TestApp::start_set(&settings).await;
    let created = app.server_program(
        &[
            "create-admin",
            "--email",
            "root@example.com",
            "--name",
            "Root",
        ],
        &[],
        "",
    );
    assert!(created.status.success(), "{created:?}");
    let mut browser = Browser::default();
    provider.knows("r1", claims("root@example.com", true)).await;
    let page = browser.get(&format!("{}/sign-in", app.web)).await;
    let page = page.text().await.unwrap();
    assert!(page.contains("Sign in with Example"), "{page}");
    assert!(!page.contains("assword"), "{page}");
    let to = browser.get(&format!("{}{BEGIN}", app.web)).await;
    let back = provider.sign_in(&location(&to), "r1").await;
    assert_eq!(browser.get(&back).await.status(), StatusCode::SEE_OTHER);

    let page = browser.get(&format!("{}/account", app.web)).await;
    let page = page.text().await.unwrap();
    assert!(page.contains("Users and roles"), "{page}");
    assert!(!page.contains("assword"), "{page}");
    let post = async |browser: &mut Browser, path: &str, form: &str| {
        let url = format!("{}{path}", app.web);
        browser.post(&url, form.to_owned()).await
    };
    // Creates a user for somebody who signs in through the provider.
    let created = post(
        &mut browser,
        "/accounts",
        "name=Ann&email=ann%40example.com",
    )
    .await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let page = created.text().await.unwrap();
    assert!(
        page.contains("Hasn&#x27;t signed in yet") || page.contains("Hasn't signed in yet"),
        "{page}"
    );
    assert!(!page.contains("assword"), "{page}");
    for (path, form) in [
        ("/sign-in", "email=root%40example.com&password=x"),
        ("/set-password", "link=x&new_password=quite+an+odd+phrase"),
        (
            "/account/password",
            "current_password=x&new_password=quite+an+odd+phrase",
        ),
        ("/users/1/password-link", ""),
    ] {
        let response = post(&mut browser, path, form).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_response_counts_once_and_in_the_browser_that_started_it() {
    let provider = OpenIdProvider::start(&[]);
    let accounts = Accounts::start_with(&provider, &[("MAX_SIGN_INS_PER_MINUTE", "0")]).await;
    let ann = accounts.user("ann").await;
    accounts.user("eve").await;
    provider.knows("a1", claims("ann@example.com", true)).await;
    provider.knows("e1", claims("eve@example.com", true)).await;
    let web = &accounts.app.web;
    const NOT_BEGUN: &str = "This sign-in took too long, or was started in another browser";

    // The request asks for a code, for which only this server has the verifier.
    let mut browser = Browser::default();
    let to = accounts.begin(&mut browser, BEGIN).await;
    let to = Url::parse(&to).unwrap();
    let asked = |name: &str| {
        let mut pairs = to.query_pairs();
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    assert_eq!(asked("response_type"), "code");
    assert_eq!(asked("code_challenge_method"), "S256");
    assert_eq!(asked("scope"), "openid email profile");
    assert_eq!(
        asked("redirect_uri"),
        format!("{web}/sign-in/openid/callback")
    );
    let begun = begun_in(&browser);
    assert!(!to.as_str().contains(begun.1.split('.').nth(2).unwrap()));

    // Login CSRF: somebody else's response in a browser that has started no sign-in, or another one.
    let mut eve = Browser::default();
    let to_eve = accounts.begin(&mut eve, BEGIN).await;
    let back_eve = provider.sign_in(&to_eve, "e1").await;
    let mut victim = Browser::default();
    refused(victim.get(&back_eve).await, 403, NOT_BEGUN).await;
    refused(browser.get(&back_eve).await, 403, NOT_BEGUN).await;
    // That doesn't end the sign-in that was started.
    assert_eq!(begun_in(&browser), begun);
    // A page of another site can't start a sign-in.
    let request = browser.http().get(format!("{web}{BEGIN}?next=%2Fformats"));
    let response = browser
        .send(request.header("sec-fetch-site", "cross-site"))
        .await;
    assert_eq!(location(&response), "/sign-in?next=%2Fformats");
    assert_eq!(begun_in(&browser), begun);

    // A stolen code is useless in another browser, because it belongs to another verifier.
    let back_ann = provider.sign_in(to.as_str(), "a1").await;
    let query = |address: &str, name: &str| {
        let url = Url::parse(address).unwrap();
        let mut pairs = url.query_pairs();
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    let with = |address: &str, name: &str, value: Option<&str>| {
        let mut url = Url::parse(address).unwrap();
        let kept: Vec<_> = url
            .query_pairs()
            .into_owned()
            .filter(|(key, _)| key != name)
            .collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
        url.to_string()
    };
    let injected = with(&back_eve, "code", Some(&query(&back_ann, "code")));
    let response = eve.clone().get(&injected).await;
    refused(response, 403, "Example didn't confirm this sign-in").await;

    // Responses of another issuer and of none (RFC 9207).
    for issuer in [Some("https://evil.example"), None] {
        let mixed_up = with(&back_eve, "iss", issuer);
        let response = eve.clone().get(&mixed_up).await;
        refused(response, 403, "to this sign-in isn't from Example").await;
    }
    // An ID token that was issued for another sign-in.
    let mut other = eve.clone();
    let (name, begun) = begun_in(&eve);
    let parts: Vec<&str> = begun.split('.').collect();
    let of_another = [parts[0], "another-nonce", parts[2], parts[3]].join(".");
    other.cookies.insert(name, of_another);
    let response = other.get(&back_eve).await;
    refused(response, 403, "to this sign-in isn't from Example").await;

    // A response counts once, even in the browser that started the sign-in.
    let mut ann_browser = Browser::default();
    let to = accounts.begin(&mut ann_browser, BEGIN).await;
    let before = ann_browser.clone();
    let back = provider.sign_in(&to, "a1").await;
    let signed_in = ann_browser.get(&back).await;
    assert_eq!(location(&signed_in), "/");
    assert_eq!(accounts.user_of(&ann_browser).await.0, ann);
    refused(ann_browser.get(&back).await, 403, NOT_BEGUN).await;
    let response = before.clone().get(&back).await;
    refused(response, 403, "Example didn't confirm this sign-in").await;

    // It always continues on this site.
    for next in ["//evil.example", "https://evil.example", "/\\evil.example"] {
        let mut browser = Browser::default();
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let to = accounts
            .begin(&mut browser, &format!("{BEGIN}?next={next}"))
            .await;
        let back = provider.sign_in(&to, "a1").await;
        assert_eq!(location(&browser.get(&back).await), "/");
    }
    let mut browser = Browser::default();
    let to = accounts.begin(&mut browser, BEGIN).await;
    let (name, begun) = begun_in(&browser);
    let (parts, _) = begun.rsplit_once('.').unwrap();
    // "//evil.example" in base64.
    let led_away = format!("{parts}.Ly9ldmlsLmV4YW1wbGU");
    browser.cookies.insert(name, led_away);
    let back = provider.sign_in(&to, "a1").await;
    assert_eq!(location(&browser.get(&back).await), "/");

    // Somebody who cancels isn't signed in, and the provider's text isn't shown.
    let mut browser = Browser::default();
    let to = accounts.begin(&mut browser, BEGIN).await;
    let back = provider.cancel(&to).await;
    let back = with(&back, "error_description", Some("Call 555-0100"));
    let response = browser.get(&back).await;
    refused(response, 403, "Example didn't sign you in").await;

    let reasons: Vec<String> = accounts.audited().await;
    let of = |reason: &str| {
        let reason = format!("sign_in refused openid connect: {reason}");
        reasons.iter().filter(|it| **it == reason).count()
    };
    assert_eq!(of("not started in this browser"), 3, "{reasons:?}");
    assert_eq!(of("invalid code"), 2, "{reasons:?}");
    assert_eq!(of("response from another issuer"), 2, "{reasons:?}");
    assert_eq!(of("invalid ID token"), 1, "{reasons:?}");
    assert_eq!(of("denied by the provider"), 1, "{reasons:?}");
}

#[tokio::test]
async fn an_id_token_counts_only_if_the_provider_signed_it_for_us_and_now() {
    let provider = OpenIdProvider::start(&[]);
    let accounts = Accounts::start_with(&provider, &[]).await;
    let ann = accounts.user("ann").await;
    provider.knows("a1", claims("ann@example.com", true)).await;
    let flaws = [
        "audience",
        "audiences",
        "issuer",
        "expired",
        "key",
        "unsigned",
        "HS256",
    ];
    let mut browser = Browser::default();
    for flaw in flaws {
        provider.has_flaw(flaw).await;
        let response = accounts.with_provider(&mut browser, &provider, "a1").await;
        refused(response, 403, "to this sign-in isn't from Example").await;
        assert!(browser.cookies.is_empty(), "{flaw}");
    }
    let invalid = "sign_in refused openid connect: invalid ID token";
    assert_eq!(accounts.audited().await, vec![invalid; flaws.len()]);
    // Nothing else is wrong with them.
    provider.has_flaw("none").await;
    accounts.with_provider(&mut browser, &provider, "a1").await;
    assert_eq!(accounts.user_of(&browser).await.0, ann);
}

#[tokio::test]
async fn the_provider_must_authenticate_people_as_required() {
    let provider = OpenIdProvider::start(&[]);
    let settings = [("OIDC_ACR_VALUES", "urn:example:silver  urn:example:gold")];
    let accounts = Accounts::start_with(&provider, &settings).await;
    let ann = accounts.user("ann").await;
    provider.knows("a1", claims("ann@example.com", true)).await;
    let mut browser = Browser::default();
    let to = accounts.begin(&mut browser, BEGIN).await;
    let to = Url::parse(&to).unwrap();
    let mut asked = to.query_pairs();
    let (_, asked) = asked.find(|(name, _)| name == "acr_values").unwrap();
    assert_eq!(asked, "urn:example:silver urn:example:gold");
    // Without an acr, with one that isn't required, and with one of two.
    for flaw in ["none", "acr:urn:example:bronze", "acr:urn:example:gol"] {
        provider.has_flaw(flaw).await;
        let response = accounts.with_provider(&mut browser, &provider, "a1").await;
        refused(
            response,
            403,
            "Example didn't check you in the way that is required",
        )
        .await;
    }
    let reason = "sign_in refused openid connect: authentication context not accepted";
    assert_eq!(accounts.audited().await, [reason; 3]);
    provider.has_flaw("acr:urn:example:gold").await;
    accounts.with_provider(&mut browser, &provider, "a1").await;
    assert_eq!(accounts.user_of(&browser).await.0, ann);
}

#[tokio::test]
async fn attempts_are_limited_and_cookies_require_https() {
    let provider = OpenIdProvider::start(&[]);
    let settings = [
        ("MAX_SIGN_INS_PER_MINUTE", "4"),
        ("ALLOWED_HOSTS", "batchline.example.com"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let accounts = Accounts::start_with(&provider, &settings).await;
    const CALLBACK: &str = "/sign-in/openid/callback?state=x&code=y";
    let get = async |path: &str, scheme: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: batchline.example.com\r\nX-Forwarded-Proto: {scheme}\r\n\
             Accept: text/html\r\nConnection: close\r\n\r\n"
        );
        raw(&accounts.app.web, request).await
    };
    for path in [BEGIN, CALLBACK] {
        let answer = get(path, "http").await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(
            answer.body.contains("Signing in needs HTTPS here"),
            "{answer:?}"
        );
    }
    let answer = get(BEGIN, "https").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let to = answer.header("location").unwrap();
    let callback = "redirect_uri=https%3A%2F%2Fbatchline.example.com%2Fsign-in%2Fopenid%2Fcallback";
    assert!(to.contains(callback), "{to}");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-openid-"), "{cookie}");
    for attribute in [
        "Secure",
        "HttpOnly",
        "SameSite=Lax",
        "Path=/",
        "Max-Age=1200",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    // The admin has signed in once.
    let callback = format!("{}{CALLBACK}", accounts.app.web);
    for _ in 0..3 {
        refused(
            Browser::default().get(&callback).await,
            403,
            "This sign-in took too long",
        )
        .await;
    }
    let response = Browser::default().get(&callback).await;
    assert!(response.headers().contains_key("retry-after"));
    refused(response, 429, "Too many sign-in attempts.").await;
    // Beginning is limited, too, apart from what it leads to. One has begun above.
    let begin = format!("{}{BEGIN}", accounts.app.web);
    for _ in 0..3 {
        let begun = Browser::default().get(&begin).await;
        assert_eq!(begun.status(), StatusCode::SEE_OTHER);
    }
    let response = Browser::default().get(&begin).await;
    assert!(response.headers().contains_key("retry-after"));
    refused(response, 429, "Too many sign-in attempts.").await;
}

#[tokio::test]
async fn an_unreachable_provider_is_reported_on_the_page() {
    let provider = OpenIdProvider::start(&[]);
    provider.stop();
    let accounts = Accounts::start_with(&provider, &[]).await;
    accounts.user("ann").await;
    let mut browser = Browser::default();
    let begin = format!("{}{BEGIN}", accounts.app.web);
    refused(browser.get(&begin).await, 503, "Example can't be reached").await;
    // Passwords work without the provider.
    let response = accounts
        .sign_in(&accounts.admin.email, &password_of(&accounts.admin.email))
        .await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);

    // The provider has new keys after each restart.
    for _ in 0..2 {
        provider.restart();
        provider.knows("a1", claims("ann@example.com", true)).await;
        eventually("a sign-in", async || {
            let mut browser = Browser::default();
            let begun = browser.get(&begin).await;
            let to = begun
                .headers()
                .get("location")?
                .to_str()
                .unwrap()
                .to_owned();
            let back = provider.sign_in(&to, "a1").await;
            let signed_in = browser.get(&back).await;
            (signed_in.status() == StatusCode::SEE_OTHER).then_some(())
        })
        .await;
    }

    // After signing out here, they may still be signed in at the provider.
    let signed_out = accounts.page("/sign-in?after=sign-out", &By::Nobody).await;
    let page = signed_out.text().await.unwrap();
    assert!(
        page.contains("href=\"/sign-in/openid/sign-out\">Sign out of Example, too"),
        "{page}"
    );
    let url = format!("{}/sign-in/openid/sign-out", accounts.app.web);
    let to = location(&browser.get(&url).await);
    let back = format!("{}/sign-in", accounts.app.web);
    assert_eq!(provider.sign_out(&to).await, back);
    let page = accounts.page("/sign-in", &By::Nobody).await;
    assert!(!page.text().await.unwrap().contains("sign-out"));
}

#[tokio::test]
async fn wrong_settings_prevent_the_start() {
    let app = TestApp::start().await;
    let refused = |settings: &[(&str, &str)]| {
        let output = app.server_program(&[], settings, "");
        assert!(!output.status.success(), "{settings:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.contains("hush"), "{said}");
        said
    };
    let issuer = ("OIDC_ISSUER", "https://id.example.com");
    let client = ("OIDC_CLIENT_ID", "batchline");
    for (settings, expected) in [
        (vec![("AUTH", "oidc")], "AUTH=oidc needs OIDC_ISSUER"),
        (vec![issuer], "OIDC_ISSUER needs OIDC_CLIENT_ID"),
        (vec![client], "OIDC_CLIENT_ID needs OIDC_ISSUER"),
        (vec![issuer, client, ("AUTH", "open")], "Set AUTH=oidc, or"),
        (
            vec![client, ("OIDC_ISSUER", "http://id.example.com")],
            "OIDC_ISSUER: \"http://id.example.com\" isn't an issuer",
        ),
        (
            vec![issuer, client, ("OIDC_ADMIN_CLAIM", "groups")],
            "OIDC_ADMIN_CLAIM and OIDC_ADMIN_VALUES must be set together",
        ),
        (
            vec![
                issuer,
                client,
                ("OIDC_CLIENT_SECRET", "hush"),
                ("OIDC_CLIENT_SECRET_FILE", "/dev/null"),
            ],
            "either OIDC_CLIENT_SECRET or",
        ),
        (
            vec![issuer, client, ("OIDC_CLIENT_SECRET_FILE", "/nowhere")],
            "OIDC_CLIENT_SECRET_FILE /nowhere",
        ),
    ] {
        let said = refused(&settings);
        assert!(said.contains(expected), "{settings:?}: {said}");
    }
}
