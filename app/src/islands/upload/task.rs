use futures::future::{AbortHandle, abortable};
use leptos::prelude::*;

/// Work that runs once at a time and ends when the page is left.
#[derive(Clone, Copy)]
pub struct Task(StoredValue<Option<Running>>);

impl Task {
    pub fn new() -> Self {
        Self(StoredValue::new(None))
    }

    /// Replaces running work.
    pub fn start(self, work: impl Future<Output = ()> + 'static) {
        let (work, handle) = abortable(work);
        self.0.set_value(Some(Running(handle)));
        leptos::task::spawn_local(async move {
            // An error means that it was stopped.
            let _ = work.await;
        });
    }

    pub fn stop(self) {
        self.0.set_value(None);
    }
}

struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}
