//! Runs commands, and ends them if this program is asked to end.

use std::{
    fs,
    io::{self, IsTerminal},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long a command may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// The signal that asks this program to end, or 0.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// This program was asked to end by a signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted(pub u8);

/// Makes signals end this program in order: what it waits for fails with [`Interrupted`], so that everything is cleaned up.
/// A second signal doesn't cut that short.
pub fn handle_signals() -> anyhow::Result<()> {
    let received = SIGNAL.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_usize(signal, received.clone(), signal as usize)?;
    }
    Ok(())
}

/// Fails with [`Interrupted`] if this program was asked to end.
pub fn check_interruption() -> anyhow::Result<()> {
    match SIGNAL
        .get()
        .map_or(0, |signal| signal.load(Ordering::Relaxed))
    {
        0 => Ok(()),
        signal => Err(Interrupted(signal as u8).into()),
    }
}

/// Sleeps unless this program is asked to end.
pub fn pause(duration: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + duration;
    loop {
        check_interruption()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(POLL));
    }
}

/// Returns the status of a command that shares this terminal.
pub fn status(command: &mut Command) -> anyhow::Result<ExitStatus> {
    let child = command
        .spawn()
        .with_context(|| format!("{} can't be run", command.get_program().display()))?;
    wait(child)
}

fn wait(mut child: Child) -> anyhow::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            // It may have been ended by the same Ctrl-C.
            check_interruption()?;
            return Ok(status);
        }
        if let Err(interrupted) = check_interruption() {
            let _ = kill_process(pid(&child), Signal::TERM);
            let deadline = Instant::now() + GRACE;
            while child.try_wait()?.is_none() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
            let _ = child.kill();
            child.wait()?;
            return Err(interrupted);
        }
        thread::sleep(POLL);
    }
}

/// Runs a command that shares this terminal. Fails if the command fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = status(command)?;
    ensure!(
        status.success(),
        "{} failed: {status}",
        command.get_program().display()
    );
    Ok(())
}

/// Runs a command and shows its output on a terminal. In a log only failures are of interest.
pub fn run_quietly(command: &mut Command) -> anyhow::Result<()> {
    if io::stderr().is_terminal() {
        return run(command);
    }
    let log = tempfile::NamedTempFile::new()?;
    command.stdin(Stdio::null());
    command.stdout(log.reopen()?).stderr(log.reopen()?);
    let result = run(command);
    if result.is_err() {
        let log = fs::read(log.path())?;
        eprint!("{}", last_lines(&String::from_utf8_lossy(&log), 25));
    }
    result
}

/// Returns the output of a command without white space around it. Fails if the command fails.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .with_context(|| format!("{program} can't be run"))?;
    check_interruption()?;
    ensure!(
        output.status.success(),
        "{program} failed: {}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Runs a command, discards its output, and returns whether it succeeded.
pub fn succeeds(command: &mut Command) -> bool {
    let silent = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// A command that runs in the background, as a separate process group, which is killed on drop.
pub struct Background(Child);

impl Background {
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt;

        let child = command.stdin(Stdio::null()).process_group(0).spawn();
        Ok(Self(child.with_context(|| {
            format!("{} can't be run", command.get_program().display())
        })?))
    }

    /// Returns whether it has succeeded, once it has ended.
    pub fn succeeded(mut self) -> anyhow::Result<bool> {
        loop {
            check_interruption()?;
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.success());
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill_process_group(pid(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

pub fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Returns the last lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    last.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_complete_lines() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc\n");
        assert_eq!(last_lines("a\n", 5), "a\n");
        assert_eq!(last_lines("", 5), "");
    }

    #[test]
    fn failed_commands_are_named() {
        let error = run(&mut Command::new("false")).unwrap_err();
        assert_eq!(error.to_string(), "false failed: exit status: 1");
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "no-such-program can't be run");
    }

    #[test]
    fn output_is_trimmed() {
        let said = output(Command::new("echo").arg(" 7 ")).unwrap();
        assert_eq!(said, "7");
        assert!(output(&mut Command::new("false")).is_err());
    }

    #[test]
    fn a_background_command_ends_with_its_handle() {
        let mut slow = Command::new("sleep");
        let background = Background::start(slow.arg("600")).unwrap();
        let pid = pid(&background.0);
        drop(background);
        assert!(rustix::process::test_kill_process(pid).is_err());
        let quick = Background::start(&mut Command::new("true")).unwrap();
        assert!(quick.succeeded().unwrap());
    }
}
