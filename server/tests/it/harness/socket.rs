//! The client's end of `/ws/{user_id}`.

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use super::DEADLINE;

pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn connect(url: &str) -> Self {
        Self(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }

    /// Opens a socket with this header. Fails with the status if it is refused.
    pub async fn open(url: &str, header: Option<(&'static str, String)>) -> Result<Self, u16> {
        let mut request = url.into_client_request().unwrap();
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub async fn text(&mut self) -> String {
        let next = async {
            loop {
                match self.0.next().await.expect("the socket was closed").unwrap() {
                    Message::Text(text) => return text.to_string(),
                    Message::Ping(_) | Message::Pong(_) => {}
                    other => panic!("unexpected {other:?}"),
                }
            }
        };
        tokio::time::timeout(DEADLINE, next)
            .await
            .expect("no message came")
    }

    /// Waits until the server closes the connection.
    pub async fn closed(&mut self) {
        let end = async {
            while let Some(Ok(message)) = self.0.next().await {
                if message.is_close() {
                    return;
                }
            }
        };
        tokio::time::timeout(DEADLINE, end)
            .await
            .expect("still open");
    }

    pub async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// Returns all messages up to the one that reports the end of the job.
    pub async fn until_finished(&mut self, job_id: i64) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.json().await;
            if message["job_id"] != job_id {
                continue;
            }
            let over = matches!(message["status"].as_str(), Some("completed" | "failed"));
            messages.push(message);
            if over {
                return messages;
            }
        }
    }
}
