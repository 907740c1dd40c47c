//! New passwords are checked against a service that knows those of breaches, and which they aren't revealed to.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

use crate::people::{Accounts, location, password_of, session_in};

const STOLEN: &str = "quite an odd phrase";
/// Its SHA-1, as from `sha1sum`.
const STOLEN_PREFIX: &str = "1D908";
const STOLEN_SUFFIX: &str = "C422D3730A8D256D210BFC0EC4EF74EFDBA";
/// A password whose hash is in the response as padding.
const PADDING: &str = "another odd phrase";
const PADDING_SUFFIX: &str = "41CBD41A82635018A5B680DBB19A24DB41A";

const REFUSED: &str = "This password is in a list of stolen passwords. Use a different one.";
const UNAVAILABLE: &str = "checked against the list of stolen passwords right now";

/// What the service does instead of responding with hashes.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Status(StatusCode),
    Redirect,
    AnotherPage,
    TooLong,
}

#[derive(Default)]
struct RangeService {
    fault: Mutex<Option<Fault>>,
    /// The paths of the requests so far.
    asked: Mutex<Vec<String>>,
}

impl RangeService {
    /// Starts one. Returns it with its URL.
    async fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/range/", listener.local_addr().unwrap());
        let service = Arc::new(Self::default());
        let state = service.clone();
        let router = Router::new().fallback(async move |request: Request| state.respond(&request));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        (service, url)
    }

    fn respond(&self, request: &Request) -> Response {
        assert_eq!(request.headers()["add-padding"], "true");
        let path = request.uri().to_string();
        self.asked.lock().unwrap().push(path.clone());
        let other = "0".repeat(35);
        match *self.fault.lock().unwrap() {
            None => {}
            Some(Fault::Status(status)) => return status.into_response(),
            Some(Fault::Redirect) => {
                return (StatusCode::FOUND, [(LOCATION, path + "/again")]).into_response();
            }
            Some(Fault::AnotherPage) => return "<html>Welcome</html>".into_response(),
            Some(Fault::TooLong) => return format!("{other}:1\r\n").repeat(30_000).into_response(),
        }
        format!("{other}:7\r\n{STOLEN_SUFFIX}:42\r\n{PADDING_SUFFIX}:0\r\n").into_response()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stolen_passwords_are_refused_and_none_is_revealed() {
    let (service, url) = RangeService::start().await;
    let accounts = Accounts::start_set(&[("BREACHED_PASSWORDS_URL", url.as_str())]).await;
    let ann = accounts.member("ann").await;
    let link = accounts.new_user("ben", "ben@example.com").await;
    let create_admin = |settings: &[(&str, &str)]| {
        let arguments = [
            "create-admin",
            "--email",
            "cem@example.com",
            "--name",
            "Cem",
        ];
        let output = accounts.app.server_program(&arguments, settings, STOLEN);
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(printed).unwrap())
    };
    let current = password_of(&ann.email);
    let change = async |new: &str| accounts.change_password(&ann.session, &current, new).await;
    let says = async |response: reqwest::Response, status: StatusCode, sentence: &str| {
        assert_eq!(response.status(), status);
        let page = response.text().await.unwrap();
        assert!(page.contains(sentence), "{page}");
    };

    // Wherever a password is set.
    let by_link = accounts.set_password(&link, STOLEN).await;
    says(by_link, StatusCode::UNPROCESSABLE_ENTITY, REFUSED).await;
    let changed = change(STOLEN).await;
    says(changed, StatusCode::UNPROCESSABLE_ENTITY, REFUSED).await;
    let (is_created, printed) = create_admin(&[]);
    assert!(!is_created && printed.contains(REFUSED), "{printed}");

    // No password is accepted unchecked.
    for fault in [
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
        Fault::Status(StatusCode::NOT_FOUND),
        Fault::Redirect,
        Fault::AnotherPage,
        Fault::TooLong,
    ] {
        *service.fault.lock().unwrap() = Some(fault);
        let changed = change(PADDING).await;
        says(changed, StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE).await;
    }
    *service.fault.lock().unwrap() = None;
    let log = accounts
        .app
        .logged(&["BREACHED_PASSWORDS_URL", "503"])
        .await;
    assert!(log.contains("ERROR"), "{log}");
    let (is_created, printed) = create_admin(&[("BREACHED_PASSWORDS_URL", "http://127.0.0.1:1/")]);
    assert!(!is_created && printed.contains(UNAVAILABLE), "{printed}");
    assert!(!printed.contains(STOLEN_PREFIX), "{printed}");
    let unsafe_url = [("BREACHED_PASSWORDS_URL", "http://range.example/")];
    let (is_created, printed) = create_admin(&unsafe_url);
    assert!(!is_created && printed.contains("use https://"), "{printed}");

    // Others are accepted, also one in the padding of the response.
    let set = accounts.set_password(&link, PADDING).await;
    assert_eq!(location(&set), "/sign-in?after=password");
    session_in(&accounts.sign_in("ben@example.com", PADDING).await);

    // The service has got five digits of each and nothing more.
    let asked = service.asked.lock().unwrap();
    let prefix = |path: &str| path.strip_prefix("/range/").unwrap().to_owned();
    let asked: Vec<String> = asked.iter().map(|path| prefix(path)).collect();
    let is_prefix = |digits: &String| {
        digits.len() == 5 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    assert!(asked.iter().all(is_prefix), "{asked:?}");
    let stolen = asked.iter().filter(|digits| *digits == STOLEN_PREFIX);
    assert_eq!(stolen.count(), 3, "{asked:?}");
    // Two more for Root and Ann, and six for the padding.
    assert_eq!(asked.len(), 11, "{asked:?}");
}
