//! Keeps a page up to date by messages about its jobs and by fetching it again. Does nothing on the server.

use domain::{JobState, UserId};
use leptos::prelude::*;
use serde::de::DeserializeOwned;

/// Watches the jobs of a user, or of all users, until the page is left.
///
/// Calls `on_message` with each message. Fetches the page again whenever a connection is established, because something
/// may have changed since the page was rendered or while there was no connection.
///
/// Returns whether the connection is currently lost.
pub fn watch(user_id: Option<UserId>, on_message: impl Fn(&str) + 'static) -> ReadSignal<bool> {
    let (lost, set_lost) = signal(false);
    #[cfg(feature = "hydrate")]
    leptos::task::spawn_local(connection::keep(user_id, on_message, set_lost));
    #[cfg(not(feature = "hydrate"))]
    let _ = (user_id, on_message, set_lost);
    lost
}

/// Fetches the page again and updates its parts and islands without losing any user input. If it fails, the page stays
/// unchanged until the next message from the server.
pub fn refresh() {
    #[cfg(feature = "hydrate")]
    crate::browser::parts::refresh();
}

/// Like [`refresh`], but at most once a second, however often it is called.
pub fn refresh_soon() {
    #[cfg(feature = "hydrate")]
    following::refresh_soon();
}

/// Calls `take` with the props of the island with this name whenever the page was fetched again.
pub fn on_refresh<Props: DeserializeOwned>(island: &'static str, take: impl Fn(Props) + 'static) {
    #[cfg(feature = "hydrate")]
    crate::browser::parts::on_refresh(island, move |props| {
        // Props that can't be parsed come from a server that was upgraded in the meantime.
        if let Ok(props) = serde_json::from_str(props) {
            take(props);
        }
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = (island, take);
}

/// Fetches the page again as `job` progresses: immediately when its status changes, otherwise at a limited rate. This
/// updates what isn't in the messages.
pub fn follow(job: Signal<JobState>) {
    #[cfg(feature = "hydrate")]
    following::follow(job);
    #[cfg(not(feature = "hydrate"))]
    let _ = job;
}

#[cfg(feature = "hydrate")]
mod following {
    use std::{cell::Cell, time::Duration};

    use domain::{JobState, JobStatus};
    use leptos::prelude::*;

    use super::refresh;

    /// The minimum time between fetches of the page of a running job.
    const REFRESH_EVERY: Duration = Duration::from_secs(2);

    /// The minimum time between fetches of a list of jobs.
    const LIST_EVERY: Duration = Duration::from_secs(1);

    thread_local! {
        /// Whether the list was fetched a moment ago, and whether it has to be fetched again after that.
        static IS_RESTING: Cell<bool> = const { Cell::new(false) };
        static IS_DUE: Cell<bool> = const { Cell::new(false) };
    }

    pub fn refresh_soon() {
        if IS_RESTING.replace(true) {
            IS_DUE.set(true);
            return;
        }
        refresh();
        let rested = || {
            IS_RESTING.set(false);
            if IS_DUE.take() {
                refresh_soon();
            }
        };
        set_timeout(rested, LIST_EVERY);
    }

    pub fn follow(job: Signal<JobState>) {
        let state =
            Memo::new(move |_| job.with(|job| (job.status, job.run, job.processed_records)));
        let is_due = StoredValue::new(false);
        Effect::new(move |before: Option<(JobStatus, u32, u64)>| {
            let now = state.get();
            let Some(before) = before else { return now };
            // The first rows are shown at once, because counts above an empty table would contradict it.
            let has_first_rows = before.2 == 0 && now.2 > 0;
            if (before.0, before.1) != (now.0, now.1) || has_first_rows {
                refresh();
            } else if before != now && !is_due.get_value() {
                is_due.set_value(true);
                let fetch = move || {
                    is_due.set_value(false);
                    refresh();
                };
                set_timeout(fetch, REFRESH_EVERY);
            }
            now
        });
    }
}

/// Returns the seconds since the last update of a running job. 0 on the server, and for a job that isn't running.
pub fn quiet_seconds(job: Signal<JobState>) -> Signal<u64> {
    #[cfg(feature = "hydrate")]
    return waiting::quiet_seconds(job);
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = job;
        Signal::stored(0)
    }
}

#[cfg(feature = "hydrate")]
mod waiting {
    use std::time::Duration;

    use domain::JobState;
    use leptos::prelude::*;

    use super::now;

    pub fn quiet_seconds(job: Signal<JobState>) -> Signal<u64> {
        let state = Memo::new(move |_| job.with(|job| (job.version, job.status)));
        let seconds = RwSignal::new(0);
        let since = StoredValue::new(now());
        Effect::new(move |_| {
            state.track();
            since.set_value(now());
            seconds.set(0);
        });
        let look = move || {
            let is_active = state
                .try_get_untracked()
                .is_some_and(|(_, status)| status.is_active());
            if let Some(since) = since.try_get_value().filter(|_| is_active) {
                let _ = seconds.try_set(((now() - since) / 1000.0) as u64);
            }
        };
        // Ends with the page. Without timers the value stays at 0.
        let _ = set_interval_with_handle(look, Duration::from_secs(1));
        seconds.into()
    }
}

/// Returns the milliseconds since the page was opened.
#[cfg(feature = "hydrate")]
fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

/// Animates numbers to their new values at the same pace, unless the user prefers reduced motion. If one of them
/// decreases, all change at once, because something has started again.
pub fn smooth<const N: usize>(numbers: Signal<[u64; N]>) -> Signal<[u64; N]> {
    #[cfg(feature = "hydrate")]
    return smoothing::smooth(numbers);
    #[cfg(not(feature = "hydrate"))]
    numbers
}

#[cfg(feature = "hydrate")]
mod smoothing {
    use leptos::prelude::*;

    use super::now;

    const MILLISECONDS: f64 = 300.0;

    pub fn smooth<const N: usize>(numbers: Signal<[u64; N]>) -> Signal<[u64; N]> {
        let shown = RwSignal::new(numbers.get_untracked());
        // The number of the current animation. New values continue from where the previous animation has got to.
        let present = StoredValue::new(0_u32);
        Effect::new(move |_| {
            let (from, to) = (shown.get_untracked(), numbers.get());
            present.update_value(|run| *run += 1);
            let falls = to.iter().zip(&from).any(|(to, from)| to < from);
            if from == to || falls || prefers_no_motion() {
                shown.set(to);
                return;
            }
            let run = Run {
                number: present.get_value(),
                from,
                to,
                began: now(),
            };
            step(run, present, shown);
        });
        shown.into()
    }

    #[derive(Clone, Copy)]
    struct Run<const N: usize> {
        number: u32,
        from: [u64; N],
        to: [u64; N],
        began: f64,
    }

    fn step<const N: usize>(run: Run<N>, present: StoredValue<u32>, shown: RwSignal<[u64; N]>) {
        // The component that shows the numbers may be gone.
        if present.try_get_value() != Some(run.number) {
            return;
        }
        let share = ((now() - run.began) / MILLISECONDS).clamp(0.0, 1.0);
        let on_its_way = |at: usize| {
            let (from, to) = (run.from[at], run.to[at]);
            from + ((to - from) as f64 * share) as u64
        };
        shown.set(std::array::from_fn(on_its_way));
        if share < 1.0 {
            request_animation_frame(move || step(run, present, shown));
        }
    }

    fn prefers_no_motion() -> bool {
        window()
            .match_media("(prefers-reduced-motion: reduce)")
            .ok()
            .flatten()
            .is_some_and(|query| query.matches())
    }
}

#[cfg(feature = "hydrate")]
mod connection {
    use std::{mem, time::Duration};

    use domain::UserId;
    use futures::{FutureExt, SinkExt, StreamExt, select};
    use gloo_net::websocket::{Message, State, futures::WebSocket};
    use gloo_timers::future::sleep;
    use leptos::{
        prelude::{Set, WriteSignal, window},
        web_sys::js_sys::Math,
    };

    /// The interval between `ping`s. A connection without any message in an interval is considered lost.
    const HEARTBEAT: Duration = Duration::from_secs(20);
    const FIRST_DELAY: Duration = Duration::from_millis(500);
    const LONGEST_DELAY: Duration = Duration::from_secs(10);

    pub async fn keep(
        user_id: Option<UserId>,
        on_message: impl Fn(&str),
        set_lost: WriteSignal<bool>,
    ) {
        let mut attempt = 0;
        loop {
            let opened = select! {
                opened = open(user_id).boxed_local().fuse() => opened,
                () = sleep(LONGEST_DELAY).fuse() => None,
            };
            let was_open = opened.is_some();
            if let Some(mut socket) = opened {
                set_lost.set(false);
                let mut is_new = true;
                let on_sign_of_life = || {
                    attempt = 0;
                    // Once the server has sent something, it sends every change.
                    if mem::take(&mut is_new) {
                        super::refresh_soon();
                    }
                };
                listen(&mut socket, on_sign_of_life, &on_message).await;
            }
            // The server may have closed or refused it because the user was signed out.
            if was_open || attempt == 0 {
                super::refresh();
            }
            set_lost.set(true);
            sleep(delay(attempt)).await;
            attempt += 1;
        }
    }

    /// Opens a connection. Returns `None` if that fails.
    async fn open(user_id: Option<UserId>) -> Option<WebSocket> {
        let location = window().location();
        let scheme = match location.protocol().ok()?.as_str() {
            "https:" => "wss",
            _ => "ws",
        };
        let host = location.host().ok()?;
        let of_user = user_id.map_or_else(String::new, |user_id| format!("/{user_id}"));
        let mut socket = WebSocket::open(&format!("{scheme}://{host}/api/ws{of_user}")).ok()?;
        // Sending waits for the connection, and also returns when connecting failed.
        socket.send(Message::Text("ping".to_owned())).await.ok()?;
        matches!(socket.state(), State::Open).then_some(socket)
    }

    /// Passes on messages until the connection ends or falls silent.
    async fn listen(
        socket: &mut WebSocket,
        mut on_sign_of_life: impl FnMut(),
        on_message: &impl Fn(&str),
    ) {
        let mut alive = false;
        let mut heartbeat = sleep(HEARTBEAT).fuse();
        loop {
            select! {
                message = socket.next().fuse() => {
                    let Some(Ok(message)) = message else { return };
                    alive = true;
                    on_sign_of_life();
                    if let Message::Text(text) = message {
                        on_message(&text);
                    }
                }
                () = heartbeat => {
                    if !alive || socket.send(Message::Text("ping".to_owned())).await.is_err() {
                        return;
                    }
                    alive = false;
                    heartbeat = sleep(HEARTBEAT).fuse();
                }
            }
        }
    }

    /// Returns an exponential backoff, half of it random, so that the pages of a restarted server don't all reconnect
    /// at the same moment.
    fn delay(attempt: i32) -> Duration {
        let longest = FIRST_DELAY.mul_f64(2_f64.powi(attempt.min(10)));
        longest
            .min(LONGEST_DELAY)
            .mul_f64(0.5 + Math::random() / 2.0)
    }
}
