//! The server's limits. Each one is a setting.

use std::time::Duration;

use clap::Args;

#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Maximum number of concurrent connections on both addresses together; others wait to be accepted
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Maximum number of concurrent connections from one address; others are closed at once. Trusted proxies have no limit,
    /// and neither has this machine unless this is set [default: 256]
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections_per_address: Option<u32>,

    /// Maximum seconds for sending the head of a request, and for a connection to stay open without one
    #[arg(long, env = "HEADER_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub header_timeout_seconds: u64,

    /// Maximum seconds without receiving a byte of a request's body
    #[arg(long, env = "BODY_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub body_timeout_seconds: u64,

    /// Minimum number of bytes of an upload per second, on average once a minute has passed. Time in which the server doesn't
    /// read isn't counted. 0: none
    #[arg(long, env = "MIN_UPLOAD_BYTES_PER_SECOND", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub min_upload_bytes_per_second: u64,

    /// Maximum seconds without the client reading a byte of the response
    #[arg(long, env = "WRITE_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub write_timeout_seconds: u64,

    /// Maximum seconds until a response begins, except for requests that send files; others get 503. Workbooks have
    /// ten times as long
    #[arg(long, env = "RESPONSE_TIMEOUT_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub response_timeout_seconds: u64,

    /// Maximum size of the head of a request, in bytes [default: 64 KiB]
    #[arg(long, env = "MAX_HEADER_BYTES", default_value_t = 64 << 10, hide_default_value = true, value_parser = parse_header_bytes)]
    pub max_header_bytes: usize,

    /// Maximum size of a JSON body or form, in bytes. Files, saved formats and answers have their own limits [default:
    /// 64 KiB]
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 64 << 10, hide_default_value = true)]
    pub max_body_bytes: u64,

    /// Maximum size of a saved format with its header, in bytes [default: 1 MiB]
    #[arg(long, env = "MAX_SAVED_FORMAT_BYTES", default_value_t = 1 << 20, hide_default_value = true)]
    pub max_saved_format_bytes: u64,

    /// Maximum size of a file for POST /check, in bytes; it is held in memory [default: 16 MiB]
    #[arg(long, env = "MAX_CHECK_BYTES", default_value_t = 16 << 20, hide_default_value = true)]
    pub max_check_bytes: usize,

    /// Maximum number of parts of a multipart form
    #[arg(long, env = "MAX_FORM_PARTS", default_value_t = 16)]
    pub max_form_parts: usize,

    /// Maximum number of bytes in a part's header, and before the first part of a multipart form [default: 16 KiB]
    #[arg(long, env = "MAX_PART_HEADER_BYTES", default_value_t = 16 << 10, hide_default_value = true)]
    pub max_part_header_bytes: usize,

    /// Maximum size of a part of a multipart form that isn't a file, in bytes [default: 256 KiB]
    #[arg(long, env = "MAX_FIELD_BYTES", default_value_t = 256 << 10, hide_default_value = true)]
    pub max_field_bytes: u64,

    /// Maximum number of concurrent WebSockets in total
    #[arg(long, env = "MAX_SOCKETS", default_value_t = 512)]
    pub max_sockets: usize,

    /// Maximum number of concurrent WebSockets per user
    #[arg(long, env = "MAX_SOCKETS_PER_USER", default_value_t = 64)]
    pub max_sockets_per_user: usize,

    /// Maximum number of concurrent WebSockets per address
    #[arg(long, env = "MAX_SOCKETS_PER_ADDRESS", default_value_t = 128)]
    pub max_sockets_per_address: usize,

    /// Maximum number of concurrent searches for text; others wait briefly, then get 503
    #[arg(long, env = "MAX_SEARCHES", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_searches: u32,

    /// Maximum number of concurrent downloads of results; others wait briefly, then get 503
    #[arg(long, env = "MAX_DOWNLOADS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_downloads: u32,

    /// Maximum number of concurrent checks of files by POST /check; others wait briefly, then get 503
    #[arg(long, env = "MAX_CHECKS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_checks: u32,

    /// Maximum number of concurrent uploads; others wait briefly, then get 503
    #[arg(long, env = "MAX_UPLOADS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_uploads: u32,

    /// Maximum number of requests per minute and address that change something; others get 429. 0: unlimited
    #[arg(long, env = "MAX_CHANGES_PER_MINUTE", default_value_t = 30_000)]
    pub max_changes_per_minute: u32,

    /// Maximum number of attempts per minute and address to sign in; others get 429. 0: unlimited
    #[arg(long, env = "MAX_SIGN_INS_PER_MINUTE", default_value_t = 30)]
    pub max_sign_ins_per_minute: u32,

    /// Maximum number of attempts to sign in to one account from one address; one more is allowed each minute, and
    /// others get 429. For all addresses together the limit is ten times as high. The same number limits attempts of a
    /// user to change their password. 0: unlimited
    #[arg(long, env = "MAX_SIGN_INS_PER_ACCOUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub max_sign_ins_per_account: u32,

    /// Maximum seconds for a single statement in PostgreSQL. 0: unlimited
    #[arg(long, env = "STATEMENT_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub statement_timeout_seconds: u64,
}

/// The maximum size of a form with answers to questions, in bytes. No valid form comes near it.
pub const MAX_ANSWER_BYTES: u64 = 256 << 10;

/// The minimum rate of a body that is held in memory, and of a client that reads a response: 1 kB per second, on average
/// once [`SLOW_START`] has passed.
pub const BYTES_PER_MILLISECOND: u64 = 1;

/// How far a client may be behind that rate, and behind `MIN_UPLOAD_BYTES_PER_SECOND`.
pub const SLOW_START: Duration = Duration::from_secs(60);

/// The maximum size of a message from a WebSocket, in bytes. Our clients send only `ping`.
pub const MAX_SOCKET_MESSAGE: usize = 1 << 10;

/// The maximum number of bytes queued for sending on a WebSocket.
pub const MAX_SOCKET_BUFFER: usize = 64 << 10;

impl Limits {
    pub fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds)
    }

    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout_seconds)
    }

    pub fn response_timeout(&self) -> Duration {
        Duration::from_secs(self.response_timeout_seconds)
    }

    pub fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_seconds)
    }

    /// Returns the timeout, or `None` if it is unlimited.
    pub fn statement_timeout(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.statement_timeout_seconds)).filter(|time| !time.is_zero())
    }
}

/// hyper needs at least 8 KiB.
fn parse_header_bytes(bytes: &str) -> Result<usize, String> {
    bytes
        .parse()
        .ok()
        .filter(|bytes| (8 << 10..=16 << 20).contains(bytes))
        .ok_or_else(|| "use a number of bytes from 8192 to 16777216".to_owned())
}
