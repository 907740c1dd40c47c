//! `/ws/{user_id}` sends the progress of a user's jobs live, and after missed messages that any of them may have changed.
//! `/ws` sends that some job has changed.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Extension,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use backend::{Backend, Event, ProgressHub, Viewer, accounts::Auth, queries, users};
use domain::{JOBS_CHANGED, JobId, JobProgress, UserId};
use prometheus::IntCounter;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::By,
    input::{ApiPath, ApiQuery, NoParameters},
    limits::{Limits, MAX_SOCKET_BUFFER, MAX_SOCKET_MESSAGE},
    metrics::{Limited, Metrics},
    peers::Ends,
    problem::{Problem, ProblemKind},
    rate::whose,
    state::AppState,
};

/// A peer that disappeared silently is noticed when this ping can't be sent.
const PING_INTERVAL: Duration = Duration::from_secs(30);

pub async fn watch_user(
    State(state): State<AppState>,
    By(viewer): By,
    Extension(Ends { client, .. }): Extension<Ends>,
    ApiPath(user_id): ApiPath<UserId>,
    _: ApiQuery<NoParameters>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    users::get(&state.backend, &viewer, user_id).await?;
    let upgrade = bounded(upgrade?);
    let counted = state.sockets.count(Some(user_id), whose(client))?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _counted = counted;
        let watcher = Watcher {
            socket,
            backend: state.backend,
            auth: state.auth,
            viewer,
            user_id,
            sent: HashMap::new(),
        };
        // An error means that the peer is gone, so nothing is left to do.
        let _ = watcher.run(&state.hub, state.shutdown).await;
    }))
}

/// More than the age of the oldest message that a socket can miss because it is slow.
const LAG: Duration = Duration::from_secs(60);

/// The minimum time between two messages about changed jobs.
const CHANGES_INTERVAL: Duration = Duration::from_secs(1);

pub async fn watch_all(
    State(state): State<AppState>,
    By(viewer): By,
    Extension(Ends { client, .. }): Extension<Ends>,
    _: ApiQuery<NoParameters>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = bounded(upgrade?);
    let counted = state.sockets.count(viewer.owner(), whose(client))?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _counted = counted;
        // An error means that the peer is gone, so nothing is left to do.
        let _ = tell_changes(socket, state, viewer).await;
    }))
}

/// Notifies a socket that watches all jobs, so that it reads them at most once a second, however many jobs are running
/// and however fast. Members watch only their own.
async fn tell_changes(
    mut socket: WebSocket,
    state: AppState,
    mut viewer: Viewer,
) -> Result<(), axum::Error> {
    let (backend, auth, shutdown) = (state.backend, state.auth, state.shutdown);
    let mut events = state.hub.subscribe();
    let mut ping = interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_changed = false;
    let mut due = Instant::now();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::AccessChanged(user_id)) => {
                    if is_of(&viewer, user_id) && !look_again(&backend, auth, &mut viewer).await {
                        break;
                    }
                }
                // A missed event may mean that the viewer may see less.
                Ok(Event::Resync(_)) | Err(RecvError::Lagged(_)) => {
                    if !look_again(&backend, auth, &mut viewer).await {
                        break;
                    }
                    has_changed = true;
                }
                Ok(event) => has_changed |= concerns(&event, viewer.owner()),
                Err(RecvError::Closed) => break,
            },
            () = sleep_until(due), if has_changed => {
                has_changed = false;
                due = Instant::now() + CHANGES_INTERVAL;
                socket.send(Message::text(JOBS_CHANGED)).await?;
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) if text.as_str() == "ping" => {
                    socket.send(Message::text("pong")).await?;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            _ = ping.tick() => {
                // No event announces credentials that expire.
                if !look_again(&backend, auth, &mut viewer).await {
                    break;
                }
                socket.send(Message::Ping(Default::default())).await?;
            }
            () = shutdown.cancelled() => break,
        }
    }
    socket.send(Message::Close(None)).await
}

/// Returns whether the event is about a job of this user, or of anybody.
fn concerns(event: &Event, owner: Option<UserId>) -> bool {
    let of = |user_id| owner.is_none_or(|owner| owner == user_id);
    match event {
        Event::Progress(progress) => of(progress.state.user_id),
        Event::Deleted(deleted) => of(deleted.user_id),
        Event::AccessChanged(_) | Event::Resync(_) => false,
    }
}

/// Returns whether the viewer has signed in as this user.
fn is_of(viewer: &Viewer, user_id: UserId) -> bool {
    viewer
        .account()
        .is_some_and(|account| account.user_id == user_id)
}

/// Updates the viewer. Returns whether they are still signed in.
async fn look_again(backend: &Backend, auth: Auth, viewer: &mut Viewer) -> bool {
    match auth.again(backend, viewer).await {
        Ok(Some(now)) => {
            *viewer = now;
            true
        }
        Ok(None) => false,
        Err(error) => {
            tracing::warn!(%error, "a socket is closed because its viewer can't be read");
            false
        }
    }
}

fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(MAX_SOCKET_MESSAGE)
        .max_frame_size(MAX_SOCKET_MESSAGE)
        .read_buffer_size(MAX_SOCKET_MESSAGE)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_SOCKET_BUFFER)
}

/// Counts the open sockets: per user, per address, and in total.
#[derive(Clone)]
pub struct Sockets {
    limits: SocketLimits,
    open: Arc<Mutex<Open>>,
    refused: IntCounter,
}

#[derive(Clone, Copy)]
struct SocketLimits {
    all: usize,
    per_user: usize,
    per_address: usize,
}

#[derive(Default)]
struct Open {
    all: usize,
    of_user: HashMap<UserId, usize>,
    from_address: HashMap<IpAddr, usize>,
}

/// A socket that counts until it is dropped.
struct Counted {
    sockets: Sockets,
    /// The user whose jobs it watches. `None` for everybody's.
    user_id: Option<UserId>,
    address: IpAddr,
}

impl Sockets {
    pub fn new(limits: &Limits, metrics: &Metrics) -> Self {
        Self {
            limits: SocketLimits {
                all: limits.max_sockets,
                per_user: limits.max_sockets_per_user,
                per_address: limits.max_sockets_per_address,
            },
            open: Arc::default(),
            refused: metrics.refused(Limited::Sockets),
        }
    }

    /// Returns the number of open sockets.
    pub fn open(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all
    }

    /// Counts one more socket if the limits allow it.
    fn count(&self, user_id: Option<UserId>, address: IpAddr) -> Result<Counted, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = user_id.and_then(|user_id| open.of_user.get(&user_id).copied());
        let from_address = open.from_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.limits.all
            || of_user.unwrap_or(0) >= self.limits.per_user
            || from_address >= self.limits.per_address
        {
            self.refused.inc();
            let sentence = "Too many live connections are open. Close some, or try again later.";
            return Err(Problem::new(ProblemKind::TooManyRequests, sentence).retry_after(10));
        }
        open.all += 1;
        if let Some(user_id) = user_id {
            *open.of_user.entry(user_id).or_default() += 1;
        }
        *open.from_address.entry(address).or_default() += 1;
        Ok(Counted {
            sockets: self.clone(),
            user_id,
            address,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self
            .sockets
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(user_id) = self.user_id {
            less(&mut open.of_user, user_id);
        }
        less(&mut open.from_address, self.address);
    }
}

/// Decrements a count and removes it at zero.
fn less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

struct Watcher {
    socket: WebSocket,
    backend: Backend,
    auth: Auth,
    viewer: Viewer,
    user_id: UserId,
    /// The version last sent for each job, and whether more updates will follow.
    sent: HashMap<JobId, (u64, bool)>,
}

impl Watcher {
    async fn run(
        mut self,
        hub: &ProgressHub,
        shutdown: CancellationToken,
    ) -> Result<(), axum::Error> {
        // Subscribes before the state is read, so that events in between arrive twice rather than never.
        let mut events = hub.subscribe();
        self.send_states(Duration::ZERO).await?;
        let mut ping = interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Event::Progress(progress)) if progress.state.user_id == self.user_id => {
                        self.send(&progress).await?;
                    }
                    Ok(Event::Deleted(deleted)) if deleted.user_id == self.user_id => {
                        self.sent.remove(&deleted.job_id);
                        let text = serde_json::to_string(&deleted).map_err(axum::Error::new)?;
                        self.socket.send(Message::text(text)).await?;
                    }
                    Ok(Event::AccessChanged(user_id)) if is_of(&self.viewer, user_id) => {
                        if !self.may_watch().await {
                            break;
                        }
                    }
                    Ok(Event::Progress(_) | Event::Deleted(_) | Event::AccessChanged(_)) => {}
                    // A missed event may mean that the viewer may see less.
                    missed @ (Ok(Event::Resync(_)) | Err(RecvError::Lagged(_))) => {
                        if !self.may_watch().await {
                            break;
                        }
                        self.send_states(match missed {
                            Ok(Event::Resync(since)) => since,
                            _ => LAG,
                        })
                        .await?;
                        // The states tell nothing about jobs that were uploaded or deleted.
                        self.socket.send(Message::text(JOBS_CHANGED)).await?;
                    }
                    Err(RecvError::Closed) => break,
                },
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) if text.as_str() == "ping" => {
                        self.socket.send(Message::text("pong")).await?;
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
                _ = ping.tick() => {
                    // No event announces credentials that expire.
                    if !self.may_watch().await {
                        break;
                    }
                    self.socket.send(Message::Ping(Default::default())).await?;
                }
                () = shutdown.cancelled() => break,
            }
        }
        self.socket.send(Message::Close(None)).await
    }

    /// Returns whether the viewer is still signed in and may still see the user.
    async fn may_watch(&mut self) -> bool {
        let is_signed_in = look_again(&self.backend, self.auth, &mut self.viewer).await;
        // Without sign-in there is nothing to check.
        is_signed_in
            && (self.viewer.account().is_none()
                || users::get(&self.backend, &self.viewer, self.user_id)
                    .await
                    .is_ok())
    }

    /// Sends the states of the user's active jobs, of those that were active when they were last sent, and of those that
    /// ended within `since`, because they may also have started in that time.
    async fn send_states(&mut self, since: Duration) -> Result<(), axum::Error> {
        let unfinished: Vec<JobId> = self
            .sent
            .iter()
            .filter(|(_, (_, active))| *active)
            .map(|(job_id, _)| *job_id)
            .collect();
        let states = queries::states(
            &self.backend,
            &self.viewer,
            self.user_id,
            &unfinished,
            since,
        )
        .await
        .map_err(|error| {
            tracing::warn!(%error, "a socket is closed because the state can't be read");
            axum::Error::new(error)
        })?;
        for state in states {
            self.send(&state).await?;
        }
        Ok(())
    }

    /// Sends a state, unless a newer one was sent.
    async fn send(&mut self, progress: &JobProgress) -> Result<(), axum::Error> {
        let JobProgress { job_id, state, .. } = progress;
        let last = self.sent.get(job_id);
        if last.is_some_and(|(version, _)| *version >= state.version) {
            return Ok(());
        }
        self.sent
            .insert(*job_id, (state.version, state.status.is_active()));
        let text = serde_json::to_string(progress).map_err(axum::Error::new)?;
        self.socket.send(Message::text(text)).await
    }
}
