//! What the server holds, waits for and serves at most. Each limit is a setting.

use std::time::Duration;

use clap::Args;

#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Connections at the same time, on both addresses together; more wait to be accepted
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Seconds that a connection may take to send the head of its next request; it may stay open without one as long
    #[arg(long, env = "HEADER_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub header_timeout_seconds: u64,

    /// Seconds that may pass without a byte of a request's body
    #[arg(long, env = "BODY_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub body_timeout_seconds: u64,

    /// Seconds that may pass without the other side taking a byte of what it is sent
    #[arg(long, env = "WRITE_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub write_timeout_seconds: u64,

    /// Largest head of a request, in bytes [default: 64 KiB]
    #[arg(long, env = "MAX_HEADER_BYTES", default_value_t = 64 << 10, hide_default_value = true, value_parser = parse_header_bytes)]
    pub max_header_bytes: usize,

    /// Largest JSON body or form, in bytes; files, saved formats and answers have limits of their own [default: 64 KiB]
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 64 << 10, hide_default_value = true)]
    pub max_body_bytes: u64,

    /// Largest saved format with its header, in bytes [default: 1 MiB]
    #[arg(long, env = "MAX_SAVED_FORMAT_BYTES", default_value_t = 1 << 20, hide_default_value = true)]
    pub max_saved_format_bytes: u64,

    /// Largest file that POST /check takes, in bytes; it is held in memory [default: 16 MiB]
    #[arg(long, env = "MAX_CHECK_BYTES", default_value_t = 16 << 20, hide_default_value = true)]
    pub max_check_bytes: usize,

    /// Most parts of a multipart form
    #[arg(long, env = "MAX_FORM_PARTS", default_value_t = 16)]
    pub max_form_parts: usize,

    /// Most bytes before the first part of a multipart form, and most bytes of a part's header [default: 16 KiB]
    #[arg(long, env = "MAX_PART_HEADER_BYTES", default_value_t = 16 << 10, hide_default_value = true)]
    pub max_part_header_bytes: usize,

    /// Largest part of a multipart form that is no file, in bytes [default: 256 KiB]
    #[arg(long, env = "MAX_FIELD_BYTES", default_value_t = 256 << 10, hide_default_value = true)]
    pub max_field_bytes: u64,

    /// WebSockets at the same time in all
    #[arg(long, env = "MAX_SOCKETS", default_value_t = 512)]
    pub max_sockets: usize,

    /// WebSockets at the same time for one user
    #[arg(long, env = "MAX_SOCKETS_PER_USER", default_value_t = 64)]
    pub max_sockets_per_user: usize,

    /// WebSockets at the same time from one address
    #[arg(long, env = "MAX_SOCKETS_PER_ADDRESS", default_value_t = 128)]
    pub max_sockets_per_address: usize,

    /// Searches for text at the same time; more wait for a moment, then get 503
    #[arg(long, env = "MAX_SEARCHES", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_searches: u32,

    /// Downloads of results at the same time; more wait for a moment, then get 503
    #[arg(long, env = "MAX_DOWNLOADS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_downloads: u32,

    /// Requests a minute from one address that change something; more get 429. 0: any number
    #[arg(long, env = "MAX_CHANGES_PER_MINUTE", default_value_t = 30_000)]
    pub max_changes_per_minute: u32,

    /// Tries a minute to sign in from one address; more get 429. 0: any number
    #[arg(long, env = "MAX_SIGN_INS_PER_MINUTE", default_value_t = 30)]
    pub max_sign_ins_per_minute: u32,

    /// Attempts to sign in to one account from one address; one more is allowed each minute, and others get 429. All
    /// addresses together have ten times as many. 0: any number
    #[arg(long, env = "MAX_SIGN_INS_PER_ACCOUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub max_sign_ins_per_account: u32,

    /// Seconds that one statement may take in PostgreSQL; 0: any time
    #[arg(long, env = "STATEMENT_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub statement_timeout_seconds: u64,
}

/// Bytes of a form with answers to questions, and more than any has.
pub const MAX_ANSWER_BYTES: u64 = 256 << 10;

/// Bytes of a message from a WebSocket. Ours are `ping`.
pub const MAX_SOCKET_MESSAGE: usize = 1 << 10;

/// Bytes that wait to be sent over a WebSocket.
pub const MAX_SOCKET_BUFFER: usize = 64 << 10;

impl Limits {
    pub fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds)
    }

    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout_seconds)
    }

    pub fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_seconds)
    }

    /// None for any time.
    pub fn statement_timeout(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.statement_timeout_seconds)).filter(|time| !time.is_zero())
    }
}

/// hyper needs 8 KiB.
fn parse_header_bytes(bytes: &str) -> Result<usize, String> {
    bytes
        .parse()
        .ok()
        .filter(|bytes| (8 << 10..=16 << 20).contains(bytes))
        .ok_or_else(|| "it is a number of bytes from 8192 to 16777216".to_owned())
}
