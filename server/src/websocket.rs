//! `/ws/{user_id}`: the progress of a user's jobs, as it happens.

use std::{collections::HashMap, time::Duration};

use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use backend::{Backend, Event, ProgressHub, queries};
use domain::{JobId, JobProgress, UserId};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{MissedTickBehavior, interval},
};

use crate::{
    problem::{ApiPath, Problem},
    state::Stopping,
};

/// A peer that is gone without a word is noticed when this can't be sent any more.
const PING_INTERVAL: Duration = Duration::from_secs(30);

pub async fn watch_user(
    State(backend): State<Backend>,
    State(hub): State<ProgressHub>,
    State(stopping): State<Stopping>,
    ApiPath(user_id): ApiPath<UserId>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    backend::users::get(&backend, user_id).await?;
    Ok(upgrade?.on_upgrade(move |socket| async move {
        let watcher = Watcher {
            socket,
            backend,
            user_id,
            sent: HashMap::new(),
        };
        // An error says that the peer is gone: nothing is left to be done for it.
        let _ = watcher.run(&hub, stopping).await;
    }))
}

struct Watcher {
    socket: WebSocket,
    backend: Backend,
    user_id: UserId,
    /// The last version sent of each job, and whether more is to come.
    sent: HashMap<JobId, (u64, bool)>,
}

impl Watcher {
    async fn run(mut self, hub: &ProgressHub, mut stopping: Stopping) -> Result<(), axum::Error> {
        // Subscribed before the state is read: what happens in between comes twice rather than never.
        let mut events = hub.subscribe();
        self.send_states().await?;
        let mut ping = interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Event::Progress(progress)) if progress.state.user_id == self.user_id => {
                        self.send(&progress).await?;
                    }
                    Ok(Event::Progress(_)) => {}
                    Ok(Event::Resync) | Err(RecvError::Lagged(_)) => self.send_states().await?,
                    Err(RecvError::Closed) => break,
                },
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) if text.as_str() == "ping" => {
                        self.socket.send(Message::text("pong")).await?;
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
                _ = ping.tick() => self.socket.send(Message::Ping(Default::default())).await?,
                () = stopping.wait() => break,
            }
        }
        self.socket.send(Message::Close(None)).await
    }

    /// Sends where the user's active jobs stand, and what became of those that were active when they
    /// were last sent.
    async fn send_states(&mut self) -> Result<(), axum::Error> {
        let unfinished: Vec<JobId> = self
            .sent
            .iter()
            .filter(|(_, (_, active))| *active)
            .map(|(job_id, _)| *job_id)
            .collect();
        let states = queries::states(&self.backend, self.user_id, &unfinished)
            .await
            .map_err(|error| {
                tracing::warn!(%error, "a socket is closed, because the state can't be read");
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
