//! A connection that drops a peer which stops reading, and lets a peer that is still sending read the response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use crate::limits::{BYTES_PER_MILLISECOND, SLOW_START};

/// The time and the number of bytes for which input is still read after the last response. Closing a connection with
/// unread input resets it, and the peer may lose the response (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(8);
const LINGER_BYTES: usize = 512 << 20;
/// A peer that sends nothing for this long has received the end.
const LINGER_IDLE: Duration = Duration::from_secs(2);

pub struct PatientStream<S> {
    stream: S,
    write_timeout: Duration,
    /// How far the peer may be behind the minimum rate of reading.
    max_lag: Duration,
    /// How far it is: the time for which it kept us waiting, less what it had for the bytes that it read.
    lag: Duration,
    /// Set while the peer doesn't read.
    blocked: Option<Blocked>,
    /// Runs once our side is closed.
    lingering: Option<Lingering>,
}

struct Blocked {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

struct Lingering {
    ends: Instant,
    timer: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> PatientStream<S> {
    /// Wraps a stream. Writes fail once the peer has read nothing for `write_timeout`, or, on average over a minute, less
    /// than the minimum rate.
    pub fn new(stream: S, write_timeout: Duration) -> Self {
        Self {
            stream,
            write_timeout,
            max_lag: SLOW_START,
            lag: Duration::ZERO,
            blocked: None,
            lingering: None,
        }
    }

    /// Passes on the result of writing this number of bytes, or a timeout if the peer reads too slowly.
    fn bounded<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        bytes: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if let Some(Blocked { since, .. }) = self.blocked.take() {
                self.lag += since.elapsed();
            }
            let read = Duration::from_millis(bytes as u64 / BYTES_PER_MILLISECOND);
            self.lag = self.lag.saturating_sub(read);
            return written;
        }
        if self.lag <= self.max_lag {
            let blocked = self.blocked.get_or_insert_with(|| Blocked {
                since: Instant::now(),
                timer: Box::pin(sleep(self.write_timeout)),
            });
            ready!(blocked.timer.as_mut().poll(context));
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = match &written {
            Poll::Ready(Ok(bytes)) => *bytes,
            _ => 0,
        };
        self.bounded(written, bytes, context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(flushed, 0, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            ends: Instant::now() + LINGER,
            timer: Box::pin(sleep(LINGER_IDLE)),
            bytes: 0,
        });
        let mut scratch = [0; 16 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    lingering.bytes += buffer.filled().len();
                    let now = Instant::now();
                    if lingering.bytes > LINGER_BYTES || now >= lingering.ends {
                        return Poll::Ready(Ok(()));
                    }
                    let idle = (now + LINGER_IDLE).min(lingering.ends);
                    lingering.timer = Box::pin(sleep_until(idle));
                }
                // The peer has closed its side or disconnected.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return lingering.timer.as_mut().poll(context).map(Ok),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::interval,
    };

    use super::*;

    #[tokio::test]
    async fn a_peer_that_stops_reading_is_dropped() {
        let (ours, _theirs) = duplex(8);
        let mut stream = PatientStream::new(ours, Duration::from_millis(20));
        let error = stream.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_reads_too_slowly_is_dropped() {
        for (piece, is_dropped) in [(1, true), (1000, false)] {
            let (ours, mut theirs) = duplex(piece);
            let mut stream = PatientStream::new(ours, Duration::from_secs(30));
            stream.max_lag = Duration::from_millis(50);
            tokio::spawn(async move {
                let mut every = interval(Duration::from_millis(10));
                let mut bytes = vec![0; piece];
                while theirs.read_exact(&mut bytes).await.is_ok() {
                    every.tick().await;
                }
            });
            let written = stream.write_all(&vec![0; 30 * piece]).await;
            let error = written.err().map(|error| error.kind());
            assert_eq!(error, is_dropped.then_some(io::ErrorKind::TimedOut));
        }
    }

    #[tokio::test]
    async fn remaining_input_is_read_until_the_peer_closes() {
        let (ours, mut theirs) = duplex(16);
        let mut stream = PatientStream::new(ours, Duration::from_secs(30));
        let send = tokio::spawn(async move { theirs.write_all(&[0; 10_000]).await });
        stream.shutdown().await.unwrap();
        send.await.unwrap().unwrap();
    }
}
