//! An S3 server on this machine.

use std::path::Path;

use rustix::process::Signal;

use super::{Services, is_taken};
use crate::{project::command, tools::MOTO};

/// Starts an S3 server that keeps its buckets in memory and accepts any credentials.
pub fn start(services: &mut Services, port: u16, log: &Path) -> anyhow::Result<()> {
    let mut moto = command("python3");
    moto.env("PYTHONPATH", MOTO.home());
    moto.args(["-m", "moto.server", "--host", "127.0.0.1", "--port"]);
    moto.arg(port.to_string());
    services.start("S3", log, &moto, Signal::TERM)?;
    services.wait_until("S3", || is_taken(port))
}
