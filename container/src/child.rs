//! The child process that a file is converted in, so that a parser that needs too much memory takes down nothing else.

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use rlimit::Resource;

use crate::{Outcome, Request, run};

/// Bytes that an [`Outcome`] takes at most on standard output, as one line of JSON: a hundred names of sheets, with room.
pub const MAX_OUTCOME_BYTES: u64 = 1 << 20;

/// Exit status for arguments that can't be understood.
const USAGE: u8 = 2;

/// Runs as a child process: takes a [`Request`] as JSON in the only argument, limits its own memory and processor time,
/// and prints the [`Outcome`] as one line of JSON. Is to be called before anything else in `main`, as a runtime and its
/// threads would count towards the memory.
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
        // What the process was started with may be lower still, and can't be raised.
        let (_, inherited) = resource.get()?;
        resource.set(soft.min(inherited), hard.min(inherited))
    };
    let memory = request.max_memory_bytes;
    lower(Resource::AS, memory, memory)?;
    // The soft limit sends SIGXCPU, which says why; the hard one SIGKILL.
    let seconds = request.max_cpu_seconds;
    lower(Resource::CPU, seconds, seconds.saturating_add(1))?;
    // An image of the memory of a process that ran out of it helps nobody.
    lower(Resource::CORE, 0, 0)
}

fn print(outcome: &Outcome) -> io::Result<()> {
    let mut line = serde_json::to_vec(outcome)?;
    line.push(b'\n');
    io::stdout().lock().write_all(&line)
}
