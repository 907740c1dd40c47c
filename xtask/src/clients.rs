//! Clients that act at the same time.

use std::{sync::Mutex, thread};

/// The number of clients.
pub const CLIENTS: usize = 16;

/// Runs all clients, and returns what they return. Fails if one of them does.
pub fn run_all<T: Send>(client: impl Fn() -> anyhow::Result<T> + Sync) -> anyhow::Result<Vec<T>> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(&client)).collect();
        let ended = clients.into_iter().map(|client| client.join());
        ended
            .map(|ended| ended.expect("it doesn't panic"))
            .collect()
    })
}

/// Acts on each job, by all clients.
pub fn for_each(
    jobs: &[i64],
    act: impl Fn(i64) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let waiting = Mutex::new(jobs.to_vec());
    let next = || waiting.lock().expect("nothing panics").pop();
    run_all(|| {
        while let Some(job_id) = next() {
            act(job_id)?;
        }
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn each_job_is_handled_once() {
        let jobs: Vec<i64> = (0..100).collect();
        let handled = Mutex::new(Vec::new());
        for_each(&jobs, |job_id| {
            handled.lock().unwrap().push(job_id);
            Ok(())
        })
        .unwrap();
        let mut handled = handled.into_inner().unwrap();
        handled.sort();
        assert_eq!(handled, jobs);
    }

    #[test]
    fn a_failure_is_reported() {
        let act = |job_id| if job_id == 7 { bail!("seven") } else { Ok(()) };
        let error = for_each(&[1, 7, 9], act).unwrap_err();
        assert_eq!(error.to_string(), "seven");
    }
}
