//! Runs our programs in processes.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::DEADLINE;

/// A process that is killed on drop.
pub struct Process {
    child: Child,
    /// Whether it leads a process group, which is killed with it.
    leads: bool,
    printed: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a program. Returns it with the line that reports that it is ready.
    pub fn start(
        program: &Path,
        environment: &[(&str, String)],
        ready: &'static str,
    ) -> (Self, String) {
        let mut command = Command::new(program);
        // Not in the checkout, whose .env would apply.
        command.current_dir(std::env::temp_dir());
        Self::spawn(command, false, environment, ready)
    }

    /// Starts a script like [`Self::start`], but in this directory and with nothing of the environment of the tests, not
    /// even the `PATH`.
    pub fn start_alone(
        script: &Path,
        directory: &Path,
        environment: &[(&str, String)],
        ready: &'static str,
    ) -> (Self, String) {
        let mut command = Command::new(script);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command.current_dir(directory).process_group(0);
        Self::spawn(command, true, environment, ready)
    }

    fn spawn(
        mut command: Command,
        leads: bool,
        environment: &[(&str, String)],
        ready: &'static str,
    ) -> (Self, String) {
        let program = Path::new(command.get_program()).to_owned();
        let mut child = command
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("RUST_LOG", "info")
            // A program that ends with its input also ends if the test is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let printed = Arc::new(Mutex::new(Vec::new()));
        let process = Self {
            child,
            leads,
            printed: printed.clone(),
        };
        let (send, receive) = mpsc::channel();
        // Keeps reading, so that the program never blocks on its output. The output is shown if the test fails.
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                println!("{line}");
                printed.lock().unwrap().push(line.clone());
                if line.contains(ready) {
                    let _ = send.send(line);
                }
            }
        });
        let line = receive
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|error| panic!("{} is not ready: {error}", program.display()));
        (process, line)
    }

    /// Sends SIGTERM. Returns the exit code and the duration of the shutdown.
    pub fn end(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(asked.success());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), began.elapsed());
            }
            assert!(began.elapsed() < DEADLINE, "it doesn't end");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the output so far.
    pub fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.leads {
            let group = format!("-{}", self.child.id());
            let mut kill = Command::new("kill");
            kill.args(["-KILL", "--", &group]).stderr(Stdio::null());
            let _ = kill.status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
