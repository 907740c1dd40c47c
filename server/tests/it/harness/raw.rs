//! Raw requests that no HTTP client would send.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::DEADLINE;

/// A raw response.
#[derive(Debug)]
pub struct RawResponse {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl RawResponse {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub struct RawConnection {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl RawConnection {
    /// Connects to `base`, such as `http://127.0.0.1:8000`.
    pub async fn open(base: &str) -> Self {
        let address = base.strip_prefix("http://").unwrap();
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            received: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends up to this many bytes, until the other side stops accepting them.
    pub async fn send_up_to(&mut self, bytes: usize) {
        let piece = vec![b'x'; 1 << 16];
        for _ in 0..bytes / piece.len() {
            if self.stream.write_all(&piece).await.is_err() {
                return;
            }
        }
    }

    /// Returns the next response.
    pub async fn response(&mut self) -> RawResponse {
        timeout(DEADLINE, self.read_response())
            .await
            .expect("no answer came")
    }

    async fn read_response(&mut self) -> RawResponse {
        let head_end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.read().await, "closed: {:?}", self.received);
        };
        let head = String::from_utf8(self.received[..head_end].to_vec()).unwrap();
        let mut response = RawResponse {
            status: head[9..12].parse().unwrap(),
            head,
            body: String::new(),
        };
        let end = match response.header("content-length") {
            Some(length) => head_end + length.parse::<usize>().unwrap(),
            None if response.status < 200 => head_end,
            None => {
                while self.read().await {}
                self.received.len()
            }
        };
        while self.received.len() < end {
            assert!(self.read().await, "closed within a body");
        }
        response.body = String::from_utf8_lossy(&self.received[head_end..end]).into_owned();
        self.received.drain(..end);
        response
    }

    /// Waits until the other side closes the connection.
    pub async fn closed(&mut self) {
        let closed = async { while self.read().await {} };
        timeout(DEADLINE, closed).await.expect("still open");
    }

    async fn read(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.received).await;
        read.is_ok_and(|read| read > 0)
    }
}

/// Sends one request and returns its response.
pub async fn raw(base: &str, request: impl AsRef<[u8]>) -> RawResponse {
    let mut connection = RawConnection::open(base).await;
    connection.send(request).await;
    connection.response().await
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
