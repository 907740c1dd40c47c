//! Who may do what, for every operation of the API, every page, every form and the socket. An unknown route fails the
//! test.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::{Method, Response, StatusCode, multipart};
use serde_json::{Value, json};

use crate::{
    harness::{SAMPLE, TestApp, raw},
    people::{Accounts, By, Person, location},
};

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Every signed-in user, who sees only their own data.
    All,
    /// The owner and admins. Others get a 404.
    Owner,
    /// Admins. The operation concerns no particular user's data.
    Admin,
    /// Admins. The owner gets a 403, others a 404.
    AdminOfOwned,
}

use For::{Admin, AdminOfOwned, All, Owner};

/// The operations of the API: who may use them, whether they change something, and their body.
fn operations() -> Vec<(&'static str, &'static str, For, bool, Body)> {
    let format = json!({"name": "mine", "format": {"delimiter": ";"}});
    let user = json!({"name": "New", "email": "new@example.com"});
    vec![
        ("get", "/me", All, false, Body::None),
        ("get", "/users", All, false, Body::None),
        ("post", "/users", Admin, true, Body::Json(user)),
        ("get", "/users/{user_id}", Owner, false, Body::None),
        (
            "patch",
            "/users/{user_id}",
            AdminOfOwned,
            true,
            Body::Json(json!({"name": "Changed"})),
        ),
        ("delete", "/users/{user_id}", AdminOfOwned, true, Body::None),
        ("get", "/users/{user_id}/quotas", Owner, false, Body::None),
        (
            "patch",
            "/users/{user_id}/quotas",
            AdminOfOwned,
            true,
            Body::Json(json!({"jobs": 0})),
        ),
        ("get", "/users/{user_id}/jobs", Owner, false, Body::None),
        ("get", "/users/{user_id}/formats", Owner, false, Body::None),
        (
            "post",
            "/users/{user_id}/formats",
            Owner,
            true,
            Body::Json(format),
        ),
        (
            "get",
            "/users/{user_id}/formats/{format_id}",
            Owner,
            false,
            Body::None,
        ),
        (
            "patch",
            "/users/{user_id}/formats/{format_id}",
            Owner,
            true,
            Body::Json(json!({"name": "renamed"})),
        ),
        (
            "delete",
            "/users/{user_id}/formats/{format_id}",
            Owner,
            true,
            Body::None,
        ),
        ("get", "/jobs", Owner, false, Body::None),
        ("post", "/jobs", Owner, true, Body::File),
        ("get", "/jobs/{job_id}", Owner, false, Body::None),
        ("delete", "/jobs/{job_id}", Owner, true, Body::None),
        ("get", "/jobs/{job_id}/report", Owner, false, Body::None),
        ("get", "/jobs/{job_id}/events", Owner, false, Body::None),
        (
            "get",
            "/jobs/{job_id}/transactions",
            Owner,
            false,
            Body::None,
        ),
        (
            "get",
            "/jobs/{job_id}/results.csv",
            Owner,
            false,
            Body::None,
        ),
        (
            "get",
            "/jobs/{job_id}/results.xlsx",
            Owner,
            false,
            Body::None,
        ),
        ("post", "/jobs/{job_id}/start", Owner, true, Body::None),
        ("post", "/jobs/{job_id}/pause", Owner, true, Body::None),
        ("post", "/jobs/{job_id}/resume", Owner, true, Body::None),
        ("post", "/jobs/{job_id}/cancel", Owner, true, Body::None),
        ("post", "/jobs/{job_id}/retry", Owner, true, Body::None),
        ("post", "/check", All, false, Body::File),
        ("get", "/audit.ndjson", Admin, false, Body::None),
    ]
}

#[derive(Debug, Clone)]
enum Body {
    None,
    Json(Value),
    File,
}

/// The objects that an operation applies to.
struct Target {
    user_id: i64,
    job_id: i64,
    format_id: i64,
}

const NOBODYS: Target = Target {
    user_id: 999_999_999,
    job_id: 999_999_999,
    format_id: 999_999_999,
};

async fn target(accounts: &Accounts, owner: &Person) -> Target {
    let path = format!("/users/{}/formats", owner.id);
    let number = uuid::Uuid::new_v4();
    let format = json!({"name": format!("format {number}"), "format": {"delimiter": ";"}});
    let request = accounts.api(Method::POST, &path, &By::from(owner));
    let response = request.json(&format).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let format: Value = response.json().await.unwrap();
    Target {
        user_id: owner.id,
        job_id: accounts.job(owner).await,
        format_id: format["id"].as_i64().unwrap(),
    }
}

async fn ask(
    accounts: &Accounts,
    (method, path, body): (&str, &str, &Body),
    target: &Target,
    by: &By,
) -> Response {
    let path = path
        .replace("{user_id}", &target.user_id.to_string())
        .replace("{job_id}", &target.job_id.to_string())
        .replace("{format_id}", &target.format_id.to_string());
    let path = match path.as_str() {
        "/jobs" => format!("/jobs?user_id={}", target.user_id),
        _ => path,
    };
    let method = method.to_uppercase().parse().unwrap();
    let request = accounts.api(method, &path, by);
    let request = match body {
        Body::None => request,
        Body::Json(json) => request.json(json),
        Body::File => {
            let file = multipart::Part::bytes(SAMPLE.as_bytes()).file_name("a.csv");
            request.multipart(multipart::Form::new().part("file", file))
        }
    };
    request.send().await.unwrap()
}

/// Returns the sentence of a problem.
async fn detail(response: Response) -> Value {
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    response.json::<Value>().await.unwrap()["detail"].clone()
}

#[tokio::test]
async fn every_operation_checks_access() {
    let accounts = Accounts::start().await;
    let (owner, other) = (
        accounts.member("owner").await,
        accounts.member("other").await,
    );
    let owned = target(&accounts, &owner).await;
    let description: Value = accounts
        .get("/openapi.json", &By::Nobody)
        .await
        .json()
        .await
        .unwrap();
    let described: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.clone(), path.clone()))
        })
        .collect();
    let known: BTreeSet<(String, String)> = operations()
        .iter()
        .map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(
        described, known,
        "who may do what isn't said of every operation"
    );

    let token = async |person: &Person, scope: &str| {
        let secret = accounts.token(person, scope).await;
        By::Token(secret)
    };
    let (read, write) = (token(&owner, "read").await, token(&owner, "write").await);
    let others_token = token(&other, "write").await;
    let expired = token(&owner, "write").await;
    sqlx::query(
        "update api_tokens set expires_at = now() where id = (select max(id) from api_tokens)",
    )
    .execute(&accounts.app.pool)
    .await
    .unwrap();
    let revoked = token(&owner, "write").await;
    let id: i64 = sqlx::query_scalar("select max(id) from api_tokens")
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    let path = format!("/account/tokens/{id}/revoke");
    accounts.form(&path, &[], &By::from(&owner)).await;

    for (method, path, whom, is_change, body) in operations() {
        let operation = (method, path, &body);
        let what = format!("{method} {path}");
        for by in [
            &By::Nobody,
            &By::Session("invented".to_owned()),
            &By::Token("bl_invented".to_owned()),
            &expired,
            &revoked,
        ] {
            let response = ask(&accounts, operation, &owned, by).await;
            assert_eq!(response.status(), 401, "{what} {by:?}");
            let challenge = response.headers()["www-authenticate"].to_str().unwrap();
            let is_token = matches!(by, By::Token(_));
            assert!(challenge.starts_with("Bearer "), "{what} {by:?}");
            assert_eq!(
                challenge.contains("invalid_token"),
                is_token,
                "{what} {by:?}"
            );
            detail(response).await;
        }
        let admin = By::from(&accounts.admin);
        for by in [&By::from(&other), &others_token] {
            let response = ask(&accounts, operation, &owned, by).await;
            match whom {
                All => assert!(response.status().is_success(), "{what} {by:?}"),
                Admin => assert_eq!(response.status(), 403, "{what} {by:?}"),
                Owner | AdminOfOwned => {
                    // The response must equal that for something that doesn't exist.
                    assert_eq!(response.status(), 404, "{what} {by:?}");
                    let found = detail(response).await;
                    let nothing = ask(&accounts, operation, &NOBODYS, by).await;
                    assert_eq!(nothing.status(), 404, "{what} {by:?}");
                    assert_eq!(found, detail(nothing).await, "{what}");
                }
            }
        }
        let read_response = ask(&accounts, operation, &owned, &read).await;
        let may_owner = matches!(whom, All | Owner);
        match (may_owner, is_change) {
            (true, false) => passed(&read_response, &what),
            _ => assert_eq!(
                read_response.status(),
                403,
                "{what} with a token that only reads"
            ),
        }
        for by in [&By::from(&owner), &write] {
            let fresh = target(&accounts, &owner).await;
            let response = ask(&accounts, operation, &fresh, by).await;
            match may_owner {
                true => passed(&response, &format!("{what} {by:?}")),
                false => assert_eq!(response.status(), 403, "{what} {by:?}"),
            }
        }
        let fresh = match what.as_str() {
            "delete /users/{user_id}" => target(&accounts, &accounts.member("gone").await).await,
            _ => target(&accounts, &owner).await,
        };
        passed(
            &ask(&accounts, operation, &fresh, &admin).await,
            &format!("{what} by an admin"),
        );
        if path.contains('{') {
            // Admins may do it to everything, so they learn that something doesn't exist.
            let nothing = ask(&accounts, operation, &NOBODYS, &admin).await;
            assert_eq!(nothing.status(), 404, "{what} by an admin");
        }
        if what == "post /users/{user_id}/formats" {
            // Names are unique.
            sqlx::query("delete from saved_formats where name = 'mine'")
                .execute(&accounts.app.pool)
                .await
                .unwrap();
        }
    }
    // Forbidden operations must have changed nothing.
    let response = accounts
        .get(&format!("/jobs/{}", owned.job_id), &By::from(&owner))
        .await;
    let job: Value = response.json().await.unwrap();
    assert_eq!(
        (&job["status"], &job["run"]),
        (&json!("pending"), &json!(0))
    );
    // Lists contain only one's own jobs, whatever the filter.
    let theirs: Value = accounts
        .get("/jobs", &By::from(&other))
        .await
        .json()
        .await
        .unwrap();
    assert!(
        theirs
            .as_array()
            .unwrap()
            .iter()
            .all(|job| job["user_id"] == other.id),
        "{theirs}"
    );
    let chosen = format!("/jobs/delete?job={}", owned.job_id);
    let page = accounts
        .page(&chosen, &By::from(&other))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("Nothing to delete") && !page.contains(&format!("/jobs/{}", owned.job_id)),
        "{page}"
    );
    let page = accounts
        .page(&chosen, &By::from(&owner))
        .await
        .text()
        .await
        .unwrap();
    assert!(page.contains("Delete 1 job?"), "{page}");
    let seen = async |by: &By| -> usize {
        let users: Value = accounts.get("/users", by).await.json().await.unwrap();
        users.as_array().unwrap().len()
    };
    assert_eq!(seen(&By::from(&owner)).await, 1);
    assert!(seen(&By::from(&accounts.admin)).await > 2);
}

/// Checks that the operation succeeded, or failed for a reason other than its author.
fn passed(response: &Response, what: &str) {
    let status = response.status().as_u16();
    assert!(
        status < 300 || status == 409,
        "{what}: {status} {:?}",
        response.headers()
    );
}

/// Returns the routes in the source of a router.
fn routes(source: &str) -> BTreeSet<String> {
    let routes = source.split(".route(").skip(1);
    routes
        .filter_map(|route| route.trim_start().strip_prefix('"')?.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Returns the routes of all server functions.
fn server_functions() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/src/api");
    let files = fs::read_dir(directory).unwrap();
    let sources = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    sources
        .flat_map(|source| {
            let functions = source.split("endpoint = \"").skip(1);
            let names = functions.map(|rest| rest.split('"').next().unwrap());
            names.map(|name| format!("/rpc/{name}")).collect::<Vec<_>>()
        })
        .collect()
}

/// The method and the path of each page and form, and who may use it.
const PAGES: &[(&str, &str, Option<For>)] = &[
    ("get", "/sign-in", None),
    ("get", "/sign-in/openid", None),
    ("get", "/sign-in/openid/callback", None),
    ("get", "/sign-in/openid/sign-out", None),
    ("get", "/set-password", None),
    ("get", "/sign-in/code", None),
    ("get", "/users/{user_id}/session", None),
    ("post", "/theme", None),
    ("get", "/", Some(All)),
    ("get", "/find", Some(All)),
    ("get", "/formats", Some(All)),
    ("get", "/accounts", Some(Admin)),
    ("get", "/users", Some(All)),
    ("get", "/jobs/delete", Some(All)),
    ("post", "/jobs/commands", Some(All)),
    ("get", "/users/{user_id}", Some(Owner)),
    ("get", "/jobs/{job_id}", Some(Owner)),
    ("get", "/jobs/{job_id}/rows/1", Some(Owner)),
    ("get", "/account", Some(All)),
    ("get", "/confirm", Some(All)),
    ("get", "/audit", Some(Admin)),
    ("post", "/jobs/{job_id}/answers", Some(Owner)),
    ("post", "/account/password", Some(All)),
    ("get", "/account/second-factor", Some(All)),
    ("post", "/account/second-factor", Some(All)),
    ("post", "/account/second-factor/code", Some(All)),
    ("post", "/account/second-factor/off", Some(All)),
    ("post", "/users/{user_id}/remove-second-factor", Some(Admin)),
    ("post", "/account/sessions/0/end", Some(All)),
    ("post", "/account/tokens", Some(All)),
    ("post", "/account/tokens/0/revoke", Some(All)),
    ("post", "/users/{user_id}/password-link", Some(Admin)),
    ("post", "/users/{user_id}/forget-provider", Some(Admin)),
    ("post", "/users/{user_id}/end-access", Some(Admin)),
    ("post", "/users/{user_id}/lock", Some(Admin)),
    ("post", "/users/{user_id}/unlock", Some(Admin)),
    ("post", "/users/{user_id}/role", Some(Admin)),
    ("post", "/rpc/create-user", Some(Admin)),
    ("post", "/rpc/update-user", Some(AdminOfOwned)),
    ("post", "/rpc/delete-user", Some(AdminOfOwned)),
    ("post", "/rpc/set-quotas", Some(AdminOfOwned)),
    ("post", "/rpc/upload-file", Some(Owner)),
    ("post", "/rpc/create-demo-job", Some(Owner)),
    ("post", "/rpc/command-job", Some(Owner)),
    ("post", "/rpc/delete-job", Some(Owner)),
    ("post", "/rpc/import-format", Some(Owner)),
    ("post", "/rpc/update-format", Some(Owner)),
    ("post", "/rpc/delete-format", Some(Owner)),
    // These end the session.
    ("post", "/account/end-other-sessions", Some(All)),
    ("post", "/sign-out", Some(All)),
];

#[tokio::test]
async fn every_page_and_form_checks_access() {
    let known: BTreeSet<String> = PAGES
        .iter()
        .map(|(_, path, _)| {
            let path = path
                .replace("/0/", "/{id}/")
                .replace("/rows/1", "/rows/{number}");
            path.replace("{user_id}", "{id}")
                .replace("{job_id}", "{id}")
        })
        .collect();
    let routed: BTreeSet<String> = routes(include_str!("../../src/pages.rs"))
        .into_iter()
        .filter(|path| path != "/rpc/{name}")
        .collect();
    let routed: BTreeSet<String> = routed.into_iter().chain(server_functions()).collect();
    assert_eq!(
        routed, known,
        "who may see it isn't said of every page and form"
    );
    // There are no other routes besides the API.
    let health = include_str!("../../src/health.rs");
    let health = health.split_once("ROUTES: [&str; 3] = [").unwrap().1;
    let health = health.split_once(']').unwrap().0.split('"');
    let health = health.skip(1).step_by(2).map(str::to_owned);
    let others = routes(include_str!("../../src/router.rs")).into_iter();
    let others: BTreeSet<String> = others.chain(health).collect();
    let known = [
        "/favicon.ico",
        "/health",
        "/healthz",
        "/readyz",
        "/ws",
        "/ws/{user_id}",
    ];
    assert_eq!(others, BTreeSet::from(known.map(str::to_owned)));

    let accounts = Accounts::start().await;
    let (owner, other) = (
        accounts.member("owner").await,
        accounts.member("other").await,
    );
    let owned = target(&accounts, &owner).await;
    for (method, path, whom) in PAGES {
        let what = format!("{method} {path}");
        let path = path
            .replace("{user_id}", &owned.user_id.to_string())
            .replace("{job_id}", &owned.job_id.to_string());
        let (user_id, job_id, format_id) = (
            owned.user_id.to_string(),
            owned.job_id.to_string(),
            owned.format_id.to_string(),
        );
        let fields: &[(&str, &str)] = match path.as_str() {
            "/rpc/create-user" => &[("name", "X"), ("email", "x@example.com")],
            "/rpc/update-user" => &[
                ("user_id", &user_id),
                ("name", "X"),
                ("email", "x@example.com"),
            ],
            "/rpc/set-quotas" => &[
                ("user_id", &user_id),
                ("jobs", "0"),
                ("bytes", ""),
                ("active_jobs", ""),
                ("retention_days", ""),
            ],
            "/rpc/delete-user" | "/rpc/create-demo-job" => &[("user_id", &user_id)],
            "/rpc/command-job" => &[("job_id", &job_id), ("command", "start")],
            "/jobs/commands" => &[("job", &job_id), ("command", "delete")],
            "/rpc/delete-job" => &[("job_id", &job_id), ("user_id", &user_id)],
            "/rpc/delete-format" => &[("user_id", &user_id), ("format_id", &format_id)],
            "/rpc/update-format" => &[
                ("user_id", &user_id),
                ("format_id", &format_id),
                ("name", "x"),
                ("format", "{}"),
            ],
            "/rpc/import-format" => &[
                ("user_id", &user_id),
                ("json", r#"{"name": "imported", "format": {}}"#),
            ],
            path if path.ends_with("/role") => &[("role", "admin")],
            _ => &[],
        };
        let asked = async |by: &By, is_person: bool| -> Response {
            let url = format!("{}{path}", accounts.app.web);
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = accounts.request(method, url, by);
            let request = match is_person {
                true => request.header("accept", "text/html"),
                false => request,
            };
            let request = match path.as_str() {
                "/rpc/upload-file" => {
                    let file = multipart::Part::bytes(SAMPLE.as_bytes()).file_name("a.csv");
                    let form = multipart::Form::new().text("user_id", user_id.clone());
                    request.multipart(form.part("file", file))
                }
                _ if what.starts_with("get") => request,
                _ => {
                    let mut body = url::form_urlencoded::Serializer::new(String::new());
                    body.extend_pairs(fields);
                    request
                        .header("content-type", "application/x-www-form-urlencoded")
                        .body(body.finish())
                }
            };
            request.send().await.unwrap()
        };
        // Without credentials, a person is redirected to sign in, and a program gets a 401.
        let (person, program) = (
            asked(&By::Nobody, true).await,
            asked(&By::Nobody, false).await,
        );
        if path.ends_with("/session") {
            // It says that they are signed out.
            assert_eq!(program.status(), 401, "{what}");
            continue;
        }
        let Some(whom) = whom else {
            let is_led_back = person.status() == 303 && location(&person) == "/";
            assert!(
                is_led_back || [200, 404].contains(&person.status().as_u16()),
                "{what}"
            );
            continue;
        };
        assert_eq!(person.status(), 303, "{what}");
        let to = location(&person);
        match what.as_str() {
            "get /" => assert_eq!(to, "/sign-in"),
            get if get.starts_with("get") => {
                let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
                assert_eq!(to, format!("/sign-in?next={next}"));
            }
            _ => assert_eq!(to, "/sign-in", "{what}"),
        }
        assert_eq!(program.status(), 401, "{what}");
        assert!(program.headers().contains_key("www-authenticate"), "{what}");

        let by_other = asked(&By::from(&other), false).await.status();
        match (whom, what.as_str()) {
            (Owner | AdminOfOwned, _) | (_, "post /account/tokens/0/revoke") => {
                assert_eq!(by_other, 404, "{what} by another");
            }
            (Admin, _) => assert_eq!(by_other, 403, "{what} by another"),
            // Operations on the account apply to one's own account.
            _ => assert!(
                by_other.as_u16() < 404 || by_other == 422,
                "{what} by another: {by_other}"
            ),
        }
        if matches!(whom, Admin | AdminOfOwned) {
            let by_owner = asked(&By::from(&owner), false).await.status();
            assert_eq!(by_owner, 403, "{what} by its owner");
        }
    }
    // Forbidden requests must have changed nothing.
    let owner = By::from(&owner);
    let check = async |path: String| {
        accounts
            .get(&path, &owner)
            .await
            .json::<Value>()
            .await
            .unwrap()
    };
    let job = check(format!("/jobs/{}", owned.job_id)).await;
    assert_eq!(job["status"], "pending");
    let user = check(format!("/users/{}", owned.user_id)).await;
    assert_eq!(user["name"], "owner");
    let formats = check(format!("/users/{}/formats", owned.user_id)).await;
    assert_eq!(formats.as_array().unwrap().len(), 1);
    let jobs = check(format!("/users/{}/jobs", owned.user_id)).await;
    assert_eq!(jobs.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn public_routes_need_no_sign_in() {
    let accounts = Accounts::start().await;
    for path in [
        "/health",
        "/healthz",
        "/readyz",
        "/docs",
        "/docs/docs.js",
        "/problems/forbidden",
        "/openapi.json",
    ] {
        let response = accounts.get(path, &By::Nobody).await;
        assert_eq!(response.status(), 200, "{path}");
    }
    for path in [
        "/health",
        "/healthz",
        "/readyz",
        "/api/docs",
        "/problems/forbidden",
        "/api/openapi.json",
        "/sign-in",
    ] {
        let response = accounts.page(path, &By::Nobody).await;
        assert_eq!(response.status(), 200, "{path}");
    }
    // The description documents how to sign in.
    let description: Value = accounts
        .get("/openapi.json", &By::Nobody)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        description["security"],
        json!([{"token": []}, {"session": []}])
    );
    let schemes = &description["components"]["securitySchemes"];
    assert_eq!(schemes["token"]["scheme"], "bearer");
    assert_eq!(schemes["session"]["in"], "cookie");
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for status in ["401", "403"] {
                let response = &operation["responses"][status];
                assert!(response.is_object(), "{method} {path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn a_socket_checks_access_and_ends_with_its_credential() {
    let accounts = Accounts::start().await;
    let (owner, other) = (
        accounts.member("owner").await,
        accounts.member("other").await,
    );
    let refused = async |by: &By, user_id: i64| accounts.socket(user_id, by).await.err();
    assert_eq!(refused(&By::Nobody, owner.id).await, Some(401));
    assert_eq!(
        refused(&By::Token("bl_x".to_owned()), owner.id).await,
        Some(401)
    );
    assert_eq!(refused(&By::from(&other), owner.id).await, Some(404));
    assert_eq!(refused(&By::from(&other), 999_999_999).await, Some(404));

    // The socket of a list watches only jobs that its viewer may see.
    assert_eq!(
        accounts.socket_at("/ws", &By::Nobody).await.err(),
        Some(401)
    );
    let mut own = accounts.socket_at("/ws", &By::from(&owner)).await.unwrap();
    let mut others = accounts.socket_at("/ws", &By::from(&other)).await.unwrap();
    let job_id = accounts.job(&owner).await;
    accounts
        .api(
            Method::DELETE,
            &format!("/jobs/{job_id}"),
            &By::from(&owner),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(own.json().await["type"], "jobs_changed");
    for _ in 0..3 {
        others.send("ping").await;
        assert_eq!(others.text().await, "pong");
    }
    let token = By::Token(accounts.token(&owner, "read").await);
    let mut by_session = accounts.socket(owner.id, &By::from(&owner)).await.unwrap();
    let mut by_token = accounts.socket(owner.id, &token).await.unwrap();
    let mut by_admin = accounts
        .socket(owner.id, &By::from(&accounts.admin))
        .await
        .unwrap();
    for socket in [&mut by_session, &mut by_token, &mut by_admin] {
        socket.send("ping").await;
        assert_eq!(socket.text().await, "pong");
    }
    // Another user's sign-out has no effect.
    accounts.form("/sign-out", &[], &By::from(&other)).await;
    by_session.send("ping").await;
    assert_eq!(by_session.text().await, "pong");

    let id: i64 = sqlx::query_scalar("select id from api_tokens")
        .fetch_one(&accounts.app.pool)
        .await
        .unwrap();
    let path = format!("/account/tokens/{id}/revoke");
    accounts.form(&path, &[], &By::from(&owner)).await;
    by_token.closed().await;
    by_session.send("ping").await;
    assert_eq!(by_session.text().await, "pong");
    accounts.form("/sign-out", &[], &By::from(&owner)).await;
    by_session.closed().await;
    own.closed().await;
    others.closed().await;

    // An admin who becomes a member again sees only their own jobs.
    let second = accounts.member("second").await;
    let role = format!("/users/{}/role", second.id);
    let admin = By::from(&accounts.admin);
    accounts.form(&role, &[("role", "admin")], &admin).await;
    let second = accounts.signed_in(&second.email).await;
    let mut by_second = accounts.socket(owner.id, &By::from(&second)).await.unwrap();
    accounts.form(&role, &[("role", "member")], &admin).await;
    by_second.closed().await;
    by_admin.send("ping").await;
    assert_eq!(by_admin.text().await, "pong");
}

#[test]
fn unreadable_settings_are_not_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |env_file: &str, log: &str| {
        std::fs::write(directory.path().join(".env"), env_file).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_server"))
            .args([
                "create-admin",
                "--email",
                "ann@example.com",
                "--name",
                "Ann",
            ])
            .env("RUST_LOG", log)
            .env("DATABASE_URL", "postgres://127.0.0.1:1/none")
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    // What comes after such a line would be lost, such as AUTH.
    let said = refused(
        "LOG_FORMAT=text\nOIDC_LABEL=Open ID secret\nAUTH=password\n",
        "",
    );
    let sentence = "The setting after LOG_FORMAT in the file .env isn't valid.";
    assert!(said.contains(sentence), "{said}");
    assert!(!said.contains("secret"), "{said}");
    let said = refused("secret\n", "");
    assert!(
        said.contains("The first setting in the file .env isn't valid."),
        "{said}"
    );
    let said = refused("OIDC_LABEL='Open ID'\n", "info,batch line=x=y");
    assert!(said.contains("RUST_LOG isn't valid"), "{said}");
}

#[tokio::test]
async fn auth_must_be_set_if_other_machines_can_connect() {
    let app = TestApp::start().await;
    let refused = |settings: &[(&str, &str)]| {
        let output = app.server_program(&[], settings, "");
        assert!(!output.status.success(), "{settings:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (address, variable) in [
        ("0.0.0.0:0", "WEB_ADDR"),
        ("[::]:0", "API_ADDR"),
        ("192.0.2.7:0", "API_ADDR"),
    ] {
        let said = refused(&[(variable, address)]);
        let expected = format!("{variable} is {address}, which other machines can reach.");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("Set AUTH=password"), "{said}");
    }
    // In a container, the host's address decides.
    let published = |address| [("WEB_ADDR", "0.0.0.0:0"), ("PUBLISHED_ADDRESS", address)];
    let said = refused(&published("192.0.2.7"));
    assert!(
        said.contains("PUBLISHED_ADDRESS is 192.0.2.7, which other"),
        "{said}"
    );
    let said = refused(&published("[2001:db8::1]"));
    assert!(
        said.contains("PUBLISHED_ADDRESS is 2001:db8::1, which other"),
        "{said}"
    );
    TestApp::start_set(&published("127.0.0.1")).await;
    // With AUTH set, the server starts.
    let mut open = TestApp::start_set(&[("AUTH", "open"), ("WEB_ADDR", "0.0.0.0:0")]).await;
    open.web = open.web.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(open.get("/users").await.status(), 200);
    // Without sign-in there are no pages for it.
    for path in [
        "/sign-in",
        "/account",
        "/accounts",
        "/audit",
        "/set-password",
    ] {
        let page = open.page_response(path).await;
        assert_eq!(page.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let page = open.page("/").await;
    assert!(
        !page.contains("Sign out") && !page.contains("Account"),
        "{page}"
    );
    // Tokens and cookies are ignored.
    let invented = reqwest::Client::new()
        .get(format!("{}/users", open.api))
        .bearer_auth("bl_invented")
        .send()
        .await
        .unwrap();
    assert_eq!(invented.status(), 200);
}

#[tokio::test]
async fn every_body_that_is_not_a_file_has_a_limit() {
    let accounts = Accounts::start().await;
    let app = &accounts.app;
    let by_admin = format!("Cookie: session={}\r\n", accounts.admin.session);
    // Sends only the head: the response doesn't wait for the body.
    let status = async |base: &str, method: &str, path: &str, kind: &str| {
        let path = path
            .replace("{user_id}", &accounts.admin.id.to_string())
            .replace("{job_id}", "1")
            .replace("{format_id}", "1");
        let method = method.to_uppercase();
        let host = base.strip_prefix("http://").unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{by_admin}Content-Type: {kind}\r\n\
             Content-Length: 200000000\r\n\r\n"
        );
        raw(base, head).await.status
    };
    for (method, path, _, _, body) in operations() {
        if method == "get" || matches!(body, Body::File) {
            continue;
        }
        for (base, path) in [
            (&app.api, path.to_owned()),
            (&app.web, format!("/api{path}")),
        ] {
            let status = status(base, method, &path, "application/json").await;
            assert_eq!(status, 413, "{method} {path}");
        }
    }
    let forms = PAGES.iter().filter(|(method, ..)| *method == "post");
    let forms = forms
        .map(|(_, path, _)| *path)
        .filter(|path| *path != "/rpc/upload-file");
    // The pages of these have the same path.
    for path in forms.chain(["/sign-in", "/sign-in/code", "/set-password", "/accounts"]) {
        let status = status(&app.web, "post", path, "application/x-www-form-urlencoded").await;
        assert_eq!(status, 413, "{path}");
    }
}
