//! The resource usage of processes, from /proc (Linux; proc_pid_stat(5) and proc_pid_status(5)).

use std::{collections::HashMap, fs};

use anyhow::{Context, bail};

/// Clock ticks per second, which Linux reports to programs as 100 whatever it uses itself.
const TICKS: f64 = 100.0;

/// Returns the peak resident memory of a process in bytes.
pub fn peak_memory(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.context("the process has no peak memory")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes << 10)
}

/// Makes the present resident memory of a process its peak.
pub fn reset_peak_memory(pid: u32) -> anyhow::Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// Returns the CPU time of a process and all of its descendants, including those that have exited, in seconds.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have exited.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) {
            processes.insert(process, parse(&stat)?);
        }
    }
    let belongs = |mut process: u32| {
        while process != pid {
            match processes.get(&process) {
                Some(usage) if usage.parent != 0 => process = usage.parent,
                _ => return false,
            }
        }
        true
    };
    let used = processes.iter().filter(|(process, _)| belongs(**process));
    Ok(used.map(|(_, usage)| usage.ticks).sum::<u64>() as f64 / TICKS)
}

struct Usage {
    parent: u32,
    /// Its own and those of its children that have exited, in user and kernel mode.
    ticks: u64,
}

fn parse(stat: &str) -> anyhow::Result<Usage> {
    // The program's name in parentheses may contain anything.
    let Some((_, fields)) = stat.rsplit_once(')') else {
        bail!("{stat:?} is no status of a process");
    };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |at: usize| {
        let field = fields.get(at).context("a field is missing")?;
        anyhow::Ok(field.parse::<u64>()?)
    };
    Ok(Usage {
        parent: field(1)? as u32,
        ticks: field(11)? + field(12)? + field(13)? + field(14)?,
    })
}
