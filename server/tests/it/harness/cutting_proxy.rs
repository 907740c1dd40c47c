//! A TCP proxy that parses just enough of a protocol to cut a connection at the n-th request. It can also make its
//! service disappear, fall silent or refuse everything.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Without TLS. A request ends with a `Sync` or a `Query`.
    Postgres,
    /// A request begins with the first `HEADERS` of a stream.
    Grpc,
    /// HTTP/1.1 with bodies of known length.
    Http,
}

/// The point at which a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The service never sees the request.
    BeforeRequest,
    /// The service has carried out the request, but its response is lost.
    BeforeAnswer,
}

/// What clients see of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Up,
    /// Open connections end, and new ones are refused.
    Away,
    /// Nothing passes in either direction, as if the service were frozen.
    Silent,
    /// Every request gets this status of gRPC instead of a response.
    Refusing(u8),
}

/// Cuts at most one connection each time it is armed.
pub struct CuttingProxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    protocol: Protocol,
    service: String,
    counted: Mutex<Counted>,
    line: watch::Sender<Line>,
    /// The number of connections so far.
    connections: AtomicUsize,
    /// Nothing passes on the connections before this number.
    forgotten: AtomicUsize,
}

/// What has passed since the proxy was armed.
#[derive(Default)]
struct Counted {
    requests: usize,
    /// The number of the request at which to cut the connection.
    cut: Option<(usize, Cut)>,
    /// The text of that request, once it has arrived.
    cut_at: Option<String>,
}

impl CuttingProxy {
    /// Listens for connections to `service`, such as `127.0.0.1:5432`.
    pub async fn start(protocol: Protocol, service: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            protocol,
            service,
            counted: Mutex::default(),
            line: watch::Sender::new(Line::Up),
            connections: AtomicUsize::new(0),
            forgotten: AtomicUsize::new(0),
        });
        tokio::spawn(accept(state.clone(), listener));
        Self { address, state }
    }

    /// Sets what clients see from now on.
    pub fn set(&self, line: Line) {
        self.state.line.send_replace(line);
    }

    /// From now on, nothing passes on the connections that are open, as if a firewall had forgotten them.
    pub fn forget_connections(&self) {
        let State {
            connections,
            forgotten,
            ..
        } = &*self.state;
        forgotten.store(connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Cuts a connection at the `n`-th request from now on.
    pub fn arm(&self, n: usize, cut: Cut) {
        *self.state.counted.lock().unwrap() = Counted {
            cut: Some((n, cut)),
            ..Counted::default()
        };
    }

    /// Stops cutting. Returns the request at which a connection was cut.
    pub fn disarm(&self) -> Option<String> {
        std::mem::take(&mut *self.state.counted.lock().unwrap()).cut_at
    }
}

impl State {
    async fn until(&self, is_so: impl Fn(Line) -> bool) {
        let mut line = self.line.subscribe();
        // Fails only if the sender is gone, which is in `self`.
        let _ = line.wait_for(|line| is_so(*line)).await;
    }

    /// Waits until something can pass on a connection.
    async fn can_pass(&self, connection: usize) {
        self.until(|line| line != Line::Silent).await;
        if connection < self.forgotten.load(Ordering::SeqCst) {
            std::future::pending().await
        }
    }

    /// Counts a request. Returns whether to cut its connection.
    fn count(&self, request: &str) -> Option<Cut> {
        let mut counted = self.counted.lock().unwrap();
        counted.requests += 1;
        let number = counted.requests;
        let (_, cut) = counted.cut.take_if(|(n, _)| *n == number)?;
        counted.cut_at = Some(request.to_owned());
        Some(cut)
    }
}

async fn accept(state: Arc<State>, mut listener: TcpListener) {
    let address = listener.local_addr().unwrap();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                let state = state.clone();
                let line = *state.line.borrow();
                tokio::spawn(async move {
                    let refuses = |line| matches!(line, Line::Refusing(_));
                    match line {
                        Line::Refusing(status) => tokio::select! {
                            _ = refuse(client, status) => {}
                            () = state.until(move |line| !refuses(line)) => {}
                        },
                        _ => tokio::select! {
                            () = connection(state.clone(), client) => {}
                            () = state.until(move |line| line == Line::Away || refuses(line)) => {}
                        },
                    }
                });
            }
            () = state.until(|line| line == Line::Away) => {
                drop(listener);
                // A bound socket that doesn't listen refuses connections and keeps its port.
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_reuseaddr(true).unwrap();
                socket.bind(address).unwrap();
                state.until(|line| line != Line::Away).await;
                listener = socket.listen(128).unwrap();
            }
        }
    }
}

/// Answers every request on a connection of gRPC with this status.
async fn refuse(mut client: TcpStream, status: u8) -> io::Result<()> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    // END_STREAM and END_HEADERS.
    const COMPLETE: u8 = 1 | 4;
    let frame = |kind: u8, flags: u8, stream: u32, content: &[u8]| {
        let length = (content.len() as u32).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        [&head[..], content].concat()
    };
    // https://www.rfc-editor.org/rfc/rfc7541: `:status: 200`, and two fields that aren't indexed.
    let mut answer = vec![0x88];
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("grpc-status", &*status.to_string()),
    ] {
        answer.push(0);
        for text in [name, value] {
            answer.push(text.len() as u8);
            answer.extend_from_slice(text.as_bytes());
        }
    }
    let mut units = Units::new(Protocol::Grpc);
    client.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        while let Some((received, request)) = units.next() {
            let reply = match (received[3], request) {
                _ if received.starts_with(b"PRI ") => continue,
                (HEADERS, Some(Request { stream, .. })) => {
                    frame(HEADERS, COMPLETE, stream, &answer)
                }
                (SETTINGS, _) if received[4] & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
                (PING, _) if received[4] & ACK == 0 => frame(PING, ACK, 0, &received[9..]),
                // Keeps the window open.
                (DATA, _) if received.len() > 9 => {
                    let bytes = (received.len() as u32 - 9).to_be_bytes();
                    frame(8, 0, 0, &bytes)
                }
                _ => continue,
            };
            client.write_all(&reply).await?;
        }
        if client.read_buf(&mut units.received).await? == 0 {
            return Ok(());
        }
    }
}

/// The stream whose response ends the connection, or 0 for none.
type Doom = AtomicU32;

async fn connection(state: Arc<State>, client: TcpStream) {
    let Ok(service) = TcpStream::connect(&state.service).await else {
        return;
    };
    let number = state.connections.fetch_add(1, Ordering::SeqCst);
    let _ = (client.set_nodelay(true), service.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_service, to_service) = service.into_split();
    let doom = Doom::new(0);
    // The first direction to end also ends the other one, so that both sides see the connection end.
    tokio::select! {
        _ = requests(&state, &doom, number, from_client, to_service) => {}
        _ = answers(&state, &doom, number, from_service, to_client) => {}
    }
}

async fn requests(
    state: &State,
    doom: &Doom,
    number: usize,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let mut units = Units::new(state.protocol);
    loop {
        while let Some((bytes, request)) = units.next() {
            let cut = request
                .as_ref()
                .and_then(|request| state.count(&request.text));
            match (cut, request) {
                (Some(Cut::BeforeRequest), _) => return Ok(()),
                (Some(Cut::BeforeAnswer), Some(request)) => {
                    doom.store(request.stream, Ordering::SeqCst);
                }
                _ => {}
            }
            state.can_pass(number).await;
            to.write_all(&bytes).await?;
        }
        if from.read_buf(&mut units.received).await? == 0 {
            // The other direction ends when the service closes its side.
            to.shutdown().await?;
            return std::future::pending().await;
        }
    }
}

async fn answers(
    state: &State,
    doom: &Doom,
    number: usize,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let protocol = state.protocol;
    let mut received = Vec::new();
    loop {
        while let Some(length) = answer_unit(protocol, &received) {
            let doomed = doom.load(Ordering::SeqCst);
            if doomed != 0 {
                let is_answered = match protocol {
                    Protocol::Postgres => received[0] == b'Z',
                    Protocol::Grpc => stream_of(&received) == doomed,
                    Protocol::Http => true,
                };
                if is_answered {
                    return Ok(());
                }
                if protocol == Protocol::Postgres {
                    received.drain(..length);
                    continue;
                }
            }
            state.can_pass(number).await;
            to.write_all(&received[..length]).await?;
            received.drain(..length);
        }
        if from.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// Returns the length of the first message or frame of a response, if it is complete.
fn answer_unit(protocol: Protocol, bytes: &[u8]) -> Option<usize> {
    match protocol {
        Protocol::Postgres => postgres_message(bytes),
        Protocol::Grpc => frame(bytes),
        Protocol::Http => (!bytes.is_empty()).then_some(bytes.len()),
    }
}

/// Returns the length of a message with its type: <https://www.postgresql.org/docs/current/protocol-overview.html>
fn postgres_message(bytes: &[u8]) -> Option<usize> {
    whole(bytes, 1 + number(bytes.get(1..5)?))
}

/// Returns the length of a frame: <https://www.rfc-editor.org/rfc/rfc9113#section-4.1>
fn frame(bytes: &[u8]) -> Option<usize> {
    whole(bytes, 9 + number(bytes.get(..3)?))
}

fn stream_of(frame: &[u8]) -> u32 {
    number(&frame[5..9]) as u32 & (u32::MAX >> 1)
}

fn whole(bytes: &[u8], length: usize) -> Option<usize> {
    (bytes.len() >= length).then_some(length)
}

fn number(big_endian: &[u8]) -> usize {
    big_endian
        .iter()
        .fold(0, |number, byte| (number << 8) | usize::from(*byte))
}

struct Request {
    /// For the output of a failed test.
    text: String,
    /// The HTTP/2 stream, or 1 in other protocols.
    stream: u32,
}

/// Splits a client's data into units.
struct Units {
    protocol: Protocol,
    received: Vec<u8>,
    /// Whether the start of the connection has arrived: `StartupMessage`, or the preface of HTTP/2.
    has_begun: bool,
    last_stream: u32,
    /// Prepared statements by name.
    statements: HashMap<Vec<u8>, String>,
    statement: String,
    /// The length of the messages before the `Sync` that ends their request. They are held back, because PostgreSQL
    /// would start to execute them.
    held: usize,
}

impl Units {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            received: Vec::new(),
            has_begun: false,
            last_stream: 0,
            statements: HashMap::new(),
            statement: String::new(),
            held: 0,
        }
    }

    /// Returns bytes to forward together, and the request that they are or begin.
    fn next(&mut self) -> Option<(Vec<u8>, Option<Request>)> {
        let (length, request) = match self.protocol {
            Protocol::Postgres => self.postgres()?,
            Protocol::Grpc => self.grpc()?,
            Protocol::Http => self.http()?,
        };
        Some((self.received.drain(..length).collect(), request))
    }

    fn postgres(&mut self) -> Option<(usize, Option<Request>)> {
        let one = |text: &str| {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(Request { text, stream: 1 })
        };
        if !self.has_begun {
            let length = whole(&self.received, number(self.received.get(..4)?))?;
            self.has_begun = true;
            return Some((length, one("connect")));
        }
        loop {
            let message = &self.received[self.held..];
            let end = self.held + postgres_message(message)?;
            let (kind, body) = (message[0], &self.received[self.held + 5..end]);
            let mut texts = body.split(|byte| *byte == 0);
            match kind {
                b'P' => {
                    let name = texts.next().unwrap_or_default().to_owned();
                    let text = texts.next().unwrap_or_default();
                    self.statement = format!("prepare {}", String::from_utf8_lossy(text));
                    let text = String::from_utf8_lossy(text).into_owned();
                    self.statements.insert(name, text);
                }
                b'B' => {
                    let statement = self.statements.get(texts.nth(1).unwrap_or_default());
                    self.statement = statement.cloned().unwrap_or_default();
                }
                b'Q' => {
                    let text = String::from_utf8_lossy(texts.next().unwrap_or_default());
                    let request = one(&text);
                    self.held = 0;
                    return Some((end, request));
                }
                b'S' => {
                    // A `Sync` on its own checks whether a pooled connection is still alive.
                    let is_ping = self.held == 0;
                    let request = one(&std::mem::take(&mut self.statement));
                    self.held = 0;
                    return Some((end, request.filter(|_| !is_ping)));
                }
                b'X' | b'p' => return Some((end, None)),
                _ => {}
            }
            self.held = end;
        }
    }

    fn grpc(&mut self) -> Option<(usize, Option<Request>)> {
        const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
        const HEADERS: u8 = 1;
        if !self.has_begun {
            whole(&self.received, PREFACE)?;
            self.has_begun = true;
            return Some((PREFACE, None));
        }
        let length = frame(&self.received)?;
        let stream = stream_of(&self.received);
        if self.received[3] != HEADERS || stream <= self.last_stream {
            return Some((length, None));
        }
        self.last_stream = stream;
        let text = format!("stream {stream}");
        Some((length, Some(Request { text, stream })))
    }

    fn http(&mut self) -> Option<(usize, Option<Request>)> {
        let end = self.received.windows(4).position(|at| at == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.received[..end]);
        let body = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        let length = whole(&self.received, end + body.unwrap_or(0))?;
        let text = head.lines().next().unwrap_or_default().to_owned();
        Some((length, Some(Request { text, stream: 1 })))
    }
}
