//! Runs our programs in processes.

use std::{
    fs::metadata,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
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
    /// A script ends the programs that it started, but only if it isn't killed.
    is_script: bool,
    printed: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a program. Returns it with the line that reports that it is ready.
    pub fn start(
        program: &Path,
        environment: &[(&str, String)],
        ready: &'static str,
    ) -> (Self, String) {
        let mut command = bound_by_permissions(program);
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
        command.current_dir(directory);
        Self::spawn(command, true, environment, ready)
    }

    fn spawn(
        mut command: Command,
        is_script: bool,
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
            is_script,
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
        self.terminate(DEADLINE).expect("it doesn't end")
    }

    /// Returns nothing if the process doesn't end in this time.
    fn terminate(&mut self, patience: Duration) -> Option<(Option<i32>, Duration)> {
        let began = Instant::now();
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(asked.success());
        while began.elapsed() < patience {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some((status.code(), began.elapsed()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the output so far.
    pub fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap().clone()
    }
}

/// Returns a command that runs the program without the privileges with which root may access any file. Outside of tests
/// it has none of them either.
fn bound_by_permissions(program: &Path) -> Command {
    let is_root = metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        return Command::new(program);
    }
    const PRIVILEGES: &str = "-dac_override,-dac_read_search";
    let mut command = Command::new("setpriv");
    command.arg(format!("--bounding-set={PRIVILEGES}"));
    command.arg(format!("--inh-caps={PRIVILEGES}"));
    command.arg(program);
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_script && matches!(self.child.try_wait(), Ok(None)) {
            self.terminate(Duration::from_secs(15));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
