//! Runs the conversion of a file in a child process, so that a parser that needs too much memory affects nothing else.

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use rlimit::Resource;

use crate::{Outcome, Request, run};

/// The maximum size of an [`Outcome`] on standard output, as one line of JSON. It has room for a hundred sheet names.
pub const MAX_OUTCOME_BYTES: u64 = 1 << 20;

/// The exit status for invalid arguments.
const USAGE: u8 = 2;

/// Runs as a child process: parses a [`Request`] as JSON from the only argument, limits its own memory and processor
/// time, and prints the [`Outcome`] as one line of JSON. Call it before anything else in `main`, because a runtime and
/// its threads would count towards the memory.
pub fn run_child(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let request = arguments.next().and_then(|argument| {
        let argument = argument.into_string().ok()?;
        serde_json::from_str::<Request>(&argument).ok()
    });
    let (Some(request), None) = (request, arguments.next()) else {
        eprintln!("expected one argument: a request as JSON");
        return ExitCode::from(USAGE);
    };
    let outcome = match limit(&request) {
        Ok(()) => run(&request),
        Err(error) => Outcome::Failed(format!("the limits can't be set: {error}")),
    };
    match print(&outcome) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn limit(request: &Request) -> io::Result<()> {
    let lower = |resource: Resource, soft: u64, hard: u64| {
        // The inherited limit may be lower and can't be raised.
        let (_, inherited) = resource.get()?;
        resource.set(soft.min(inherited), hard.min(inherited))
    };
    let memory = request.max_memory_bytes;
    lower(Resource::AS, memory, memory)?;
    // The soft limit sends SIGXCPU, which shows the reason. The hard limit sends SIGKILL.
    let seconds = request.max_cpu_seconds;
    lower(Resource::CPU, seconds, seconds.saturating_add(1))?;
    // A core dump of a process that ran out of memory is of no use.
    lower(Resource::CORE, 0, 0)
}

fn print(outcome: &Outcome) -> io::Result<()> {
    let mut line = serde_json::to_vec(outcome)?;
    line.push(b'\n');
    io::stdout().lock().write_all(&line)
}
