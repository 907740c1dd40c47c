//! Unpacks and converts a file in a process of its own, which can run out of memory or time without harm.

use std::{
    ffi::OsStr, os::unix::process::ExitStatusExt, path::Path, process::Stdio, time::Duration,
};

use anyhow::{Context, bail};
use container::{MAX_OUTCOME_BYTES, Outcome, Refusal, Request};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

/// The worker's argument that makes it the child. `container::run_child` receives the next argument.
const CONVERT: &str = "convert";

/// Signals, with their numbers on every Linux architecture (`signal(7)`).
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIGXCPU: i32 = 24;

/// Runs `program`, which is the worker itself, with the argument `convert` and a request. Returns the outcome that it
/// prints. If the child dies or exceeds the deadline, the file is to blame and the outcome is a refusal.
///
/// # Errors
///
/// Returns an error if the child can't be started, receives a signal to stop, or prints no outcome. A retry may
/// succeed.
pub(crate) async fn convert(
    program: &Path,
    request: &Request,
    deadline: Duration,
) -> anyhow::Result<Outcome> {
    let json = serde_json::to_string(request)?;
    let mut child = Command::new(program)
        .args([OsStr::new(CONVERT), OsStr::new(&json)])
        // The child needs none of the environment, least of all its passwords.
        .env_clear()
        // The malloc arena of each thread would count as 64 MiB of address space.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} can't be started", program.display()))?;
    match timeout(deadline, finish(&mut child)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            child.kill().await?;
            Ok(Outcome::Refused(Refusal::Time))
        }
    }
}

async fn finish(child: &mut Child) -> anyhow::Result<Outcome> {
    let stdout = child.stdout.take().context("the output is not a pipe")?;
    let mut output = Vec::new();
    // Output beyond the limit isn't read: the pipe closes, and a child that keeps writing fails.
    stdout
        .take(MAX_OUTCOME_BYTES)
        .read_to_end(&mut output)
        .await?;
    let status = child.wait().await?;
    match status.signal() {
        Some(signal @ (SIGHUP | SIGINT | SIGPIPE | SIGTERM)) => {
            bail!("the child was stopped by signal {signal}")
        }
        Some(SIGXCPU) => Ok(Outcome::Refused(Refusal::Time)),
        // SIGABRT if an allocation fails, SIGKILL if the system is out of memory, SIGSEGV if the stack overflows.
        Some(_) => Ok(Outcome::Refused(Refusal::Memory)),
        None if status.success() => {
            serde_json::from_slice(&output).context("the child prints no outcome")
        }
        None => bail!("the child ends with {status}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, time::Instant};

    use container::{Kind, Limits};

    use super::*;

    /// A single test, so that no other test starts a process while a script is still open for writing.
    #[tokio::test]
    async fn a_child_returns_an_outcome_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let request = Request {
            input: folder.path().join("in"),
            output: folder.path().join("out"),
            limits: Limits {
                max_unpacked_bytes: 1000,
                max_ratio: 100,
            },
            sheet: None,
            max_memory_bytes: 1 << 30,
            max_cpu_seconds: 10,
        };
        let script = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            path
        };
        let refused = Outcome::Refused(Refusal::Kind(Kind::Pdf));
        let line = serde_json::to_string(&refused).unwrap();
        let prints = script("prints", &format!("[ \"$1\" = convert ] && echo '{line}'"));
        let dies = script("dies", "kill -ABRT $$");
        let runs_long = script("runs-long", "kill -XCPU $$");
        let is_stopped = script("is-stopped", "kill -TERM $$");
        let fails = script("fails", "exit 2");
        let babbles = script("babbles", "exec cat /dev/zero");
        let sleeps = script("sleeps", "exec sleep 600");

        let minute = Duration::from_secs(60);
        let outcome = async |program: &Path| convert(program, &request, minute).await;
        assert_eq!(outcome(&prints).await.unwrap(), refused);
        assert_eq!(
            outcome(&dies).await.unwrap(),
            Outcome::Refused(Refusal::Memory)
        );
        assert_eq!(
            outcome(&runs_long).await.unwrap(),
            Outcome::Refused(Refusal::Time)
        );
        assert!(outcome(&is_stopped).await.is_err());
        assert!(outcome(&fails).await.is_err());
        assert!(outcome(&folder.path().join("missing")).await.is_err());

        let start = Instant::now();
        assert!(outcome(&babbles).await.is_err());
        let slept = convert(&sleeps, &request, Duration::from_millis(100)).await;
        assert_eq!(slept.unwrap(), Outcome::Refused(Refusal::Time));
        assert!(start.elapsed() < minute);
    }
}
