//! The settings of Batchline, which tests and measurements must not take from the environment.

use std::{
    env,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether commands run without the settings in the environment.
static IGNORED: AtomicBool = AtomicBool::new(false);

/// From now on, commands run without the settings in the environment.
pub fn ignore() {
    IGNORED.store(true, Ordering::Relaxed);
}

pub fn are_ignored() -> bool {
    IGNORED.load(Ordering::Relaxed)
}

/// Removes the settings from the environment of a command.
pub fn clear(command: &mut Command) {
    for name in names() {
        command.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
}

/// The settings in `.env.example`, and another name of one of them.
fn names() -> impl Iterator<Item = &'static str> {
    let documented = include_str!("../../.env.example").lines();
    let documented = documented.filter_map(|line| {
        let (name, _) = line.strip_prefix('#')?.split_once('=')?;
        let is_part =
            |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
        (!name.is_empty() && name.chars().all(is_part)).then_some(name)
    });
    documented.chain(["TEMPORAL_HOST", "TEMPORAL_API_KEY"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_settings_are_cleared() {
        let names: Vec<_> = names().collect();
        for name in [
            "DATABASE_URL",
            "WORKER_CONCURRENCY",
            "OIDC_ISSUER",
            "LOG_FORMAT",
        ] {
            assert!(names.contains(&name), "{name}");
        }
        let mut command = Command::new("true");
        clear(&mut command);
        let mut cleared = command.get_envs();
        assert!(cleared.any(|(name, value)| name == "DATABASE_URL" && value.is_none()));
    }
}
