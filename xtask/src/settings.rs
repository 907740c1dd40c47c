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

    /// Without a parser of YAML: each service is a block of lines that are indented further than its name.
    #[test]
    fn containers_have_limits_and_are_reached_from_this_machine_only() {
        let file = include_str!("../../docker-compose.yml");
        let (anchors, services) = file.split_once("\nservices:\n").unwrap();
        for line in [
            "read_only: true",
            "cap_drop: [ALL]",
            "security_opt: [\"no-new-privileges:true\"]",
            "stop_grace_period: 30s",
        ] {
            assert!(anchors.contains(line), "{line}");
        }
        assert!(anchors.contains("x-application: &application\n  <<: *container\n"));
        let (services, _) = services.split_once("\nvolumes:\n").unwrap();
        let mut service = "";
        let mut found = Vec::new();
        for line in services.lines() {
            match line.strip_prefix("  ") {
                Some(name) if name.ends_with(':') && !name.starts_with([' ', '#']) => {
                    service = name
                }
                _ => {}
            }
            let line = line.trim();
            if line.starts_with("mem_limit: ") {
                found.push((service, "a limit"));
            }
            if line == "<<: *container" || line == "<<: *application" {
                found.push((service, "restrictions"));
            }
            // A published port, such as 127.0.0.1:5432:5432.
            if line.starts_with("- ") && line.matches(':').count() >= 2 && line.contains("PORT") {
                let is_local = ["127.0.0.1:", "${LISTEN_ADDRESS:-127.0.0.1}:"];
                let port = line.trim_start_matches("- ");
                assert!(
                    is_local.iter().any(|address| port.starts_with(address)),
                    "{line}"
                );
                found.push((service, "a port"));
            }
        }
        for service in [
            "db:",
            "database-roles:",
            "migrate:",
            "temporal:",
            "server:",
            "worker:",
        ] {
            assert!(found.contains(&(service, "a limit")), "{service}");
            assert!(found.contains(&(service, "restrictions")), "{service}");
        }
        let ports = found.iter().filter(|(_, what)| *what == "a port");
        assert_eq!(ports.count(), 5);
        // A single container has the password of the database's owner.
        let (before, from) = services.split_once("\n  migrate:\n").unwrap();
        let (_, after) = from.split_once("\n\n").unwrap();
        for others in [anchors, before, after] {
            assert!(!others.contains("DATABASE_OWNER_URL"));
        }
    }

    #[test]
    fn the_documented_settings_are_cleared() {
        let names: Vec<_> = names().collect();
        for name in [
            "DATABASE_URL",
            "DATABASE_OWNER_URL",
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
