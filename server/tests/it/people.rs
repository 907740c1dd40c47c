//! People who sign in, and the programs to which they give access.

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect::Policy};

use crate::harness::{Socket, TestApp, expect, unique};

/// An installation where everybody has to sign in, with one admin.
pub struct Accounts {
    pub app: TestApp,
    pub http: Client,
    pub admin: Person,
}

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: i64,
    pub email: String,
    /// The secret in their browser's cookie.
    pub session: String,
}

/// The author of a request.
#[derive(Debug, Clone)]
pub enum By {
    Nobody,
    Session(String),
    Token(String),
}

impl From<&Person> for By {
    fn from(person: &Person) -> Self {
        Self::Session(person.session.clone())
    }
}

pub fn password_of(email: &str) -> String {
    format!("quite unusual {}", email.replace('@', " at "))
}

impl Accounts {
    pub async fn start() -> Self {
        Self::start_set(&[]).await
    }

    pub async fn start_set(settings: &[(&'static str, &str)]) -> Self {
        let settings = [&[("AUTH", "password")], settings].concat();
        let app = TestApp::start_set(&settings).await;
        let email = "root@example.com";
        let created = app.server_program(
            &["create-admin", "--email", email, "--name", "Root"],
            &[],
            &password_of(email),
        );
        assert!(created.status.success(), "{created:?}");
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .unwrap();
        let mut accounts = Self {
            app,
            http,
            admin: Person {
                id: 0,
                email: email.to_owned(),
                session: String::new(),
            },
        };
        accounts.admin = accounts.signed_in(email).await;
        accounts
    }

    /// Creates a member who has set a password through the admin's link and signed in.
    pub async fn member(&self, name: &str) -> Person {
        let email = format!("{name}@example.com");
        let link = self.new_user(name, &email).await;
        let set = self.set_password(&link, &password_of(&email)).await;
        assert_eq!(location(&set), "/sign-in?after=password");
        self.signed_in(&email).await
    }

    /// Creates a user as the admin. Returns the secret of the link.
    pub async fn new_user(&self, name: &str, email: &str) -> String {
        let fields = [("name", name), ("email", email)];
        let created = self
            .form("/accounts", &fields, &By::from(&self.admin))
            .await;
        assert_eq!(created.status(), StatusCode::CREATED);
        link_in(&created.text().await.unwrap())
    }

    pub async fn set_password(&self, link: &str, password: &str) -> Response {
        let fields = [("link", link), ("new_password", password)];
        self.form("/set-password", &fields, &By::Nobody).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Response {
        let fields = [("email", email), ("password", password)];
        self.form("/sign-in", &fields, &By::Nobody).await
    }

    /// Signs in, which must succeed.
    pub async fn signed_in(&self, email: &str) -> Person {
        let response = self.sign_in(email, &password_of(email)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let session = session_in(&response);
        let id = sqlx::query_scalar("select id from users where email = $1")
            .bind(email)
            .fetch_one(&self.app.pool)
            .await
            .unwrap();
        Person {
            id,
            email: email.to_owned(),
            session,
        }
    }

    /// Creates a token on the person's account page.
    pub async fn token(&self, person: &Person, scope: &str) -> String {
        // The same form, sent again at once, would get the same token.
        let name = format!("nightly {}", unique());
        let fields = [("name", &*name), ("scope", scope), ("days", "7")];
        let response = self
            .form("/account/tokens", &fields, &By::from(person))
            .await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let page = response.text().await.unwrap();
        let start = page.find("bl_").unwrap();
        let token = page[start..].split('<').next().unwrap().trim().to_owned();
        // 32 bytes in base64.
        assert_eq!(token.len(), "bl_".len() + 43, "{token}");
        token
    }

    pub fn request(&self, method: Method, url: String, by: &By) -> RequestBuilder {
        let request = self.http.request(method, url);
        match by {
            By::Nobody => request,
            By::Session(secret) => request.header("cookie", format!("session={secret}")),
            By::Token(token) => request.bearer_auth(token),
        }
    }

    pub fn api(&self, method: Method, path: &str, by: &By) -> RequestBuilder {
        self.request(method, format!("{}{path}", self.app.api), by)
    }

    pub async fn get(&self, path: &str, by: &By) -> Response {
        self.api(Method::GET, path, by).send().await.unwrap()
    }

    /// Requests a page as a browser does.
    pub async fn page(&self, path: &str, by: &By) -> Response {
        let request = self.request(Method::GET, format!("{}{path}", self.app.web), by);
        request.header("accept", "text/html").send().await.unwrap()
    }

    /// Posts a form as a browser does.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)], by: &By) -> Response {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        self.request(Method::POST, format!("{}{path}", self.app.web), by)
            .header("accept", "text/html")
            .header("origin", &self.app.web)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.finish())
            .send()
            .await
            .unwrap()
    }

    /// Creates a pending job of the person.
    pub async fn job(&self, person: &Person) -> i64 {
        let file = reqwest::multipart::Part::bytes(crate::harness::SAMPLE.as_bytes());
        let form = reqwest::multipart::Form::new().part("file", file.file_name("a.csv"));
        let path = format!("/jobs?user_id={}", person.id);
        let request = self.api(Method::POST, &path, &By::from(person));
        let response = request.multipart(form).send().await.unwrap();
        expect(response, StatusCode::CREATED).await["job_id"]
            .as_i64()
            .unwrap()
    }

    /// Opens a socket for this user's jobs. Fails with the status if it is refused.
    pub async fn socket(&self, user_id: i64, by: &By) -> Result<Socket, u16> {
        self.socket_at(&format!("/ws/{user_id}"), by).await
    }

    pub async fn socket_at(&self, path: &str, by: &By) -> Result<Socket, u16> {
        let url = format!("{}{path}", self.app.api.replacen("http", "ws", 1));
        let header = match by {
            By::Nobody => None,
            By::Session(secret) => Some(("cookie", format!("session={secret}"))),
            By::Token(token) => Some(("authorization", format!("Bearer {token}"))),
        };
        Socket::open(&url, header).await
    }

    pub async fn is_signed_in(&self, session: &str) -> bool {
        let by = By::Session(session.to_owned());
        let status = self.get("/users", &by).await.status();
        assert!(status == 200 || status == 401, "{status}");
        status == 200
    }

    pub async fn change_password(&self, session: &str, current: &str, new: &str) -> Response {
        let fields = [("current_password", current), ("new_password", new)];
        let by = By::Session(session.to_owned());
        self.form("/account/password", &fields, &by).await
    }

    pub async fn execute(&self, sql: &str) {
        sqlx::raw_sql(sql).execute(&self.app.pool).await.unwrap();
    }
}

/// Returns the secret of the link on a page.
pub fn link_in(page: &str) -> String {
    let start = page.find("/set-password?link=").unwrap() + "/set-password?link=".len();
    page[start..].split('<').next().unwrap().trim().to_owned()
}

/// Returns the secret of the session that a response starts.
pub fn session_in(response: &Response) -> String {
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    let secret = cookie.strip_prefix("session=").unwrap();
    secret.split(';').next().unwrap().to_owned()
}

pub fn location(response: &Response) -> String {
    let location = response.headers().get("location");
    let location = location.unwrap_or_else(|| panic!("no redirect: {}", response.status()));
    location.to_str().unwrap().to_owned()
}
