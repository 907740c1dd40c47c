//! A client of the API for measurements and scenarios.

use std::{
    fs::File,
    io::{Cursor, Read},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use ureq::{Agent, Body, SendBody, http::Response};

const BOUNDARY: &str = "batchline-script";

/// How long the server may take for what depends on the size of a file.
const TRANSFER: Duration = Duration::from_secs(1800);

/// The API at an address.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    address: String,
}

impl Api {
    /// `patience` is how long the server may take to respond.
    pub fn new(address: &str, patience: Duration) -> Self {
        let agent = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_connect(Some(patience))
            .timeout_send_request(Some(patience))
            .timeout_send_body(Some(TRANSFER))
            .timeout_recv_response(Some(patience))
            .timeout_recv_body(Some(TRANSFER))
            .build()
            .new_agent();
        Self {
            agent,
            address: address.to_owned(),
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns a response to be read as it arrives.
    pub fn read(&self, path: &str) -> anyhow::Result<impl Read + use<>> {
        let response = checked(self.agent.get(self.url(path)).call()?, path)?;
        Ok(response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader())
    }

    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_reader(self.read(path)?)?)
    }

    pub fn job(&self, job_id: i64) -> anyhow::Result<Value> {
        self.get(&format!("/jobs/{job_id}"))
    }

    /// Returns the rows of a page.
    pub fn rows(&self, job_id: i64, query: &str) -> anyhow::Result<Vec<Value>> {
        match self.get(&format!("/jobs/{job_id}/transactions?{query}"))? {
            Value::Array(rows) => Ok(rows),
            other => bail!("rows are an array, not {other}"),
        }
    }

    /// Creates a user and returns its id.
    pub fn create_user(&self) -> anyhow::Result<i64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let email = format!("script-{}-{now}@example.com", std::process::id());
        let user = json!({"name": "Script", "email": email}).to_string();
        let request = self
            .agent
            .post(self.url("/users"))
            .content_type("application/json");
        id(checked(request.send(user)?, "/users")?)
    }

    /// Uploads a file and returns the id of its job.
    pub fn upload(&self, user_id: i64, path: &Path) -> anyhow::Result<i64> {
        let name = path.file_name().unwrap_or_default().display();
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: text/csv\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let file = File::open(path)?;
        let length = (head.len() + tail.len()) as u64 + file.metadata()?.len();
        let form = Cursor::new(head).chain(file).chain(Cursor::new(tail));
        let path = format!("/jobs?user_id={user_id}");
        let request = self
            .agent
            .post(self.url(&path))
            .content_type(format!("multipart/form-data; boundary={BOUNDARY}"))
            .header("Content-Length", length.to_string());
        let response = request.send(SendBody::from_owned_reader(form))?;
        id(checked(response, &path)?)
    }

    /// Gives a job a command, as in `start`.
    pub fn command(&self, job_id: i64, command: &str) -> anyhow::Result<()> {
        let path = format!("/jobs/{job_id}/{command}");
        finish(checked(
            self.agent.post(self.url(&path)).send_empty()?,
            &path,
        )?)
    }

    pub fn delete(&self, path: &str) -> anyhow::Result<()> {
        finish(checked(self.agent.delete(self.url(path)).call()?, path)?)
    }
}

fn checked(mut response: Response<Body>, path: &str) -> anyhow::Result<Response<Body>> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let said = response.body_mut().read_to_string().unwrap_or_default();
    bail!("{path} answered {status}: {said}")
}

/// Reads the rest, so that the connection can be used again.
fn finish(mut response: Response<Body>) -> anyhow::Result<()> {
    response.body_mut().read_to_vec()?;
    Ok(())
}

fn id(mut response: Response<Body>) -> anyhow::Result<i64> {
    let created: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    created["id"].as_i64().context("the response has no id")
}
