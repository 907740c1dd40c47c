//! Starts programs as children of this one, waits until each is ready, and stops them in reverse order, however this
//! program ends.

mod batchline;
mod object_store;
mod ports;
mod postgres;
mod temporal;

use std::{
    fs::{self, OpenOptions},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail, ensure};
use rustix::process::{Signal, kill_process, kill_process_group};
use testkit::process::peak_memory;

use crate::{
    process::{check_interruption, last_lines, pause, pid, succeeds},
    project::say,
};

pub use self::{
    batchline::{Batchline, get, is_ok, local},
    object_store::start as start_object_store,
    ports::{Port, free_ports, is_taken, reachable, require_free},
    postgres::{Database, Passwords, Postgres, has_client_programs, require_client_programs},
    temporal::Temporal,
};

/// How long a program may take to become ready.
const START: Duration = Duration::from_secs(60);
/// How long a program may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// The running services, oldest first. Dropping them stops them.
#[derive(Default)]
pub struct Services(Vec<Service>);

struct Service {
    name: String,
    log: PathBuf,
    child: Child,
    /// Asks it to stop.
    stop_signal: Signal,
}

impl Services {
    /// Starts a service. Its output is appended to `log`.
    ///
    /// It must be called on the main thread, because on Linux the service ends with the thread that started it.
    pub fn start(
        &mut self,
        name: &str,
        log: &Path,
        command: &Command,
        stop_signal: Signal,
    ) -> anyhow::Result<()> {
        if let Some(directory) = log.parent() {
            fs::create_dir_all(directory)?;
        }
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            // A log may contain data from files. An existing one keeps its mode.
            .mode(0o600)
            .open(log)?;
        let mut child = ended_with_this_program(command);
        child
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C reaches only this program, which then stops everything in order.
            .process_group(0);
        // By default, glibc keeps an arena of freed memory for each of many threads. Two halve the memory of a long job.
        if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
            child.env("MALLOC_ARENA_MAX", "2");
        }
        let child = child
            .spawn()
            .with_context(|| format!("{name} can't be started"))?;
        self.0.push(Service {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
            stop_signal,
        });
        Ok(())
    }

    /// Fails with the end of a service's log if the service has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        check_interruption()?;
        for service in &mut self.0 {
            if service.child.try_wait()?.is_some() {
                service.show_log();
                bail!(
                    "{} has ended unexpectedly; everything else is being stopped",
                    service.name
                );
            }
        }
        Ok(())
    }

    /// Waits until a condition holds that shows a service to be ready.
    pub fn wait_until(&mut self, name: &str, is_ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        self.wait_for(START, name, is_ready)
    }

    fn wait_for(
        &mut self,
        patience: Duration,
        name: &str,
        mut is_ready: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !is_ready() {
            self.check()?;
            if Instant::now() > deadline {
                if let Ok(service) = self.get(name) {
                    service.show_log();
                }
                bail!("{name} was not ready in time");
            }
            pause(POLL)?;
        }
        Ok(())
    }

    /// Waits until a service has written this to its log.
    pub fn wait_for_log(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        let log = self.get(name)?.log.clone();
        self.wait_until(name, || {
            fs::read_to_string(&log).is_ok_and(|log| log.contains(text))
        })
    }

    /// Returns the process id of a service.
    pub fn process_id(&self, name: &str) -> anyhow::Result<u32> {
        Ok(self.get(name)?.child.id())
    }

    /// Fails if a service has taken more memory at any time since its start than `megabytes`. Linux only.
    pub fn check_peak_memory(&self, name: &str, megabytes: u64) -> anyhow::Result<()> {
        if cfg!(target_os = "linux") {
            let peak = peak_memory(self.process_id(name)?)? / 1_000_000;
            say(format!("{name}: at most {peak} MB of memory"));
            ensure!(peak <= megabytes, "{name} took {peak} MB of memory");
        }
        Ok(())
    }

    pub fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(pid(&self.get(name)?.child), signal)?)
    }

    /// Ends a service with a signal and waits until it is gone.
    pub fn end(&mut self, name: &str, signal: Signal) -> anyhow::Result<()> {
        self.signal(name, signal)?;
        let found = self.0.iter().position(|service| service.name == name);
        let mut ended = found.map(|at| self.0.remove(at));
        if let Some(service) = &mut ended {
            service.child.wait()?;
        }
        Ok(())
    }

    /// Stops all services.
    pub fn stop(&mut self) {
        while let Some(mut service) = self.0.pop() {
            service.stop();
        }
    }

    fn get(&self, name: &str) -> anyhow::Result<&Service> {
        self.0
            .iter()
            .find(|service| service.name == name)
            .ok_or_else(|| anyhow!("no service is called {name}"))
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Service {
    fn stop(&mut self) {
        let pid = pid(&self.child);
        let _ = kill_process(pid, self.stop_signal);
        let deadline = Instant::now() + STOP;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        // Processes that are left in its group: it didn't end in time, or it left children behind.
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = self.child.wait();
    }

    fn show_log(&self) {
        let log = fs::read(&self.log).unwrap_or_default();
        let last = last_lines(&String::from_utf8_lossy(&log), 15);
        if !last.is_empty() {
            eprintln!("Last lines of {}:", self.log.display());
            for line in last.lines() {
                eprintln!("    {line}");
            }
        }
    }
}

/// Returns the command, changed so that on Linux it gets a signal when this program ends, even by SIGKILL.
fn ended_with_this_program(command: &Command) -> Command {
    static HAS_SETPRIV: LazyLock<bool> =
        LazyLock::new(|| succeeds(Command::new("setpriv").args(["--pdeathsig", "TERM", "true"])));
    let mut same = match *HAS_SETPRIV {
        true => {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--pdeathsig", "TERM"]);
            setpriv.arg(command.get_program());
            setpriv
        }
        false => Command::new(command.get_program()),
    };
    same.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => same.env(name, value),
            None => same.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        same.current_dir(directory);
    }
    same
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, test_kill_process};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_service_that_ends_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("logs/service.log");
        let mut services = Services::default();
        let command = shell("echo begun; exit 3");
        services
            .start("service", &log, &command, Signal::TERM)
            .unwrap();
        let error = services.wait_until("service", || false).unwrap_err();
        assert!(error.to_string().contains("service has ended unexpectedly"));
        assert_eq!(fs::read_to_string(log).unwrap(), "begun\n");
    }

    #[test]
    fn a_service_that_is_never_ready_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let mut services = Services::default();
        let log = directory.path().join("service.log");
        services
            .start("service", &log, &shell("exec sleep 600"), Signal::TERM)
            .unwrap();
        let error = services
            .wait_for(Duration::from_millis(100), "service", || false)
            .unwrap_err();
        assert_eq!(error.to_string(), "service was not ready in time");
    }

    #[test]
    fn services_end_with_their_children_and_the_newest_first() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("both.log");
        let mut services = Services::default();
        for name in ["first", "second"] {
            let script =
                format!("trap 'echo {name} ends; exit' TERM; sleep 600 & echo {name} $!; wait");
            services
                .start(name, &log, &shell(&script), Signal::TERM)
                .unwrap();
            services.wait_for_log(name, name).unwrap();
        }
        drop(services);
        let log = fs::read_to_string(log).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines[2..], ["second ends", "first ends"]);
        for line in &lines[..2] {
            let child = line.split(' ').next_back().unwrap().parse().unwrap();
            let child = Pid::from_raw(child).unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            while test_kill_process(child).is_ok() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
            assert!(test_kill_process(child).is_err());
        }
    }
}
