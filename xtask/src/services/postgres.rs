//! A PostgreSQL server on this machine.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Signal, getuid};

use super::{Services, is_taken};
use crate::{
    process::{output, succeeds},
    project::command,
    tools::POSTGRES,
    work_directory::WorkDirectory,
};

/// A PostgreSQL server on this machine, with the superuser `postgres`.
#[derive(Debug, Clone)]
pub struct Postgres {
    pub data: PathBuf,
    pub port: u16,
    /// Required from every client if there is one, because a superuser can run programs as the user that the server runs as.
    pub password: Option<String>,
    /// Settings beyond the usual ones, as in `fsync=off`.
    pub settings: Vec<String>,
}

/// A database, with the URLs of its roles.
#[derive(Debug, Clone)]
pub struct Database {
    /// For `server migrate`. `None` if server and worker have the same role, and run the migrations.
    pub owner_url: Option<String>,
    /// For server and worker.
    pub url: String,
}

/// The passwords of the two roles.
pub struct Passwords {
    pub owner: String,
    pub application: String,
}

/// The unprivileged user that PostgreSQL runs as when this program runs as root, which PostgreSQL refuses.
struct User {
    uid: u32,
    /// The command that changes the user.
    setpriv: Vec<String>,
}

impl Postgres {
    /// A server without a password, whose files are removed with the directory.
    pub fn temporary(directory: &WorkDirectory, port: u16) -> Self {
        Self {
            data: directory.file("postgres"),
            port,
            password: None,
            settings: Vec::new(),
        }
    }

    /// Starts the server, and creates its files if there are none.
    pub fn start(&self, services: &mut Services, log: &Path) -> anyhow::Result<()> {
        let directory = self.data.parent().context("it needs a directory")?;
        fs::create_dir_all(directory)?;
        let user = User::choose(directory)?;
        let major = POSTGRES.major_version()?;
        let version = self.data.join("PG_VERSION");
        match fs::read_to_string(&version) {
            Err(_) => self.create(user.as_ref(), &major, log)?,
            Ok(found) => ensure!(
                found.trim() == major,
                "{} was written by PostgreSQL {} and this is {major}: move that directory away to start with an empty database",
                self.data.display(),
                found.trim()
            ),
        }
        let mut server = run_as(user.as_ref(), &POSTGRES.program("postgres"));
        server.arg("-D").arg(&self.data);
        let port = format!("port={}", self.port);
        let usual = [
            "listen_addresses=127.0.0.1",
            &port,
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=256MB",
            "max_wal_size=4GB",
        ];
        for setting in usual
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            server.args(["-c", setting]);
        }
        // On SIGTERM it would wait for its clients.
        services.start("PostgreSQL", log, &server, Signal::INT)?;
        services.wait_until("PostgreSQL", || self.answers())?;
        self.require_password()
    }

    fn create(&self, user: Option<&User>, major: &str, log: &Path) -> anyhow::Result<()> {
        let new = with_suffix(&self.data, ".new");
        let password_file = with_suffix(&self.data, ".password");
        let _ = fs::remove_dir_all(&new);
        let _ = fs::remove_file(&password_file);
        fs::create_dir_all(&new)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&password_file)?;
        writeln!(file, "{}", self.password.as_deref().unwrap_or("none"))?;
        if let Some(user) = user {
            chown(&new, Some(user.uid), None)?;
            chown(&password_file, Some(user.uid), None)?;
        }
        let mut initdb = run_as(user, &POSTGRES.program("initdb"));
        initdb.arg("--pgdata").arg(&new);
        initdb.arg("--pwfile").arg(&password_file);
        initdb.args([
            "--username=postgres",
            "--no-instructions",
            "--encoding=UTF8",
        ]);
        initdb.arg(match self.password {
            Some(_) => "--auth=scram-sha-256",
            None => "--auth=trust",
        });
        match major.parse::<u32>()? {
            17.. => initdb.args([
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ]),
            _ => initdb.arg("--locale=C.UTF-8"),
        };
        let created = initdb.stdin(Stdio::null()).output();
        let _ = fs::remove_file(&password_file);
        let created = created.context("initdb can't be run")?;
        if !created.status.success() {
            bail!(
                "PostgreSQL could not create its files in {}: {}",
                new.display(),
                String::from_utf8_lossy(&created.stderr).trim()
            );
        }
        if let Some(directory) = log.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(fs::rename(new, &self.data)?)
    }

    fn answers(&self) -> bool {
        let is_ready = POSTGRES.program("pg_isready");
        // npm's build of PostgreSQL has no client programs.
        if !is_ready.exists() {
            return is_taken(self.port);
        }
        let mut ask = command(is_ready);
        ask.args([
            "--quiet",
            "--host=127.0.0.1",
            "--username=postgres",
            "--port",
        ]);
        succeeds(ask.arg(self.port.to_string()))
    }

    /// Earlier versions created the files without a password.
    fn require_password(&self) -> anyhow::Result<()> {
        let access = self.data.join("pg_hba.conf");
        let Some(password) = &self.password else {
            return Ok(());
        };
        let rules = fs::read_to_string(&access)?;
        if !rules.lines().any(|line| line.ends_with("trust")) {
            return Ok(());
        }
        let quoted = password.replace('\'', "''");
        self.sql(
            "postgres",
            &format!("alter role postgres password '{quoted}'"),
        )?;
        let rules: String = rules
            .lines()
            .map(|line| match line.strip_suffix("trust") {
                Some(rule) => format!("{rule}scram-sha-256\n"),
                None => format!("{line}\n"),
            })
            .collect();
        fs::write(&access, rules)?;
        self.sql("postgres", "select pg_reload_conf()")?;
        Ok(())
    }

    /// `psql` in a database, as the superuser.
    pub fn psql(&self, database: &str) -> Command {
        let mut psql = command(POSTGRES.program("psql"));
        psql.env("PGPASSWORD", self.password.as_deref().unwrap_or_default());
        psql.env("PGCONNECT_TIMEOUT", "10");
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"]);
        psql.args(["--set=ON_ERROR_STOP=1", "--host=127.0.0.1"]);
        psql.args(["--port", &self.port.to_string()]);
        psql.args(["--username=postgres", "--dbname", database]);
        psql
    }

    /// Returns the values of all rows, one per line.
    pub fn sql(&self, database: &str, statement: &str) -> anyhow::Result<String> {
        output(self.psql(database).args(["--command", statement]))
    }

    /// Creates a database unless there is one with this name.
    pub fn create_database(&self, name: &str) -> anyhow::Result<()> {
        let exists = format!("select 1 from pg_database where datname = '{name}'");
        if self.sql("postgres", &exists)?.is_empty() {
            self.sql("postgres", &format!("create database \"{name}\""))?;
        }
        Ok(())
    }

    /// Creates a database with two roles, unless they are there: `batchline_owner` owns it, `batchline` is for server and
    /// worker. npm's build of PostgreSQL has no client programs; there, the superuser and its database are for everything.
    ///
    /// The passwords are set if there are any.
    pub fn database_for_batchline(
        &self,
        name: &str,
        passwords: Option<&Passwords>,
    ) -> anyhow::Result<Database> {
        if !has_client_programs() {
            return Ok(Database {
                owner_url: None,
                url: self.url("postgres", self.password.as_deref(), "postgres"),
            });
        }
        self.create_database(name)?;
        let mut psql = self.psql(name);
        if let Some(passwords) = passwords {
            psql.env("DATABASE_OWNER_PASSWORD", &passwords.owner);
            psql.env("DATABASE_PASSWORD", &passwords.application);
        }
        output(psql.args([
            "--single-transaction",
            "--file=script/lib/database_roles.sql",
        ]))?;
        let owner = passwords.map(|passwords| passwords.owner.as_str());
        let application = passwords.map(|passwords| passwords.application.as_str());
        Ok(Database {
            owner_url: Some(self.url("batchline_owner", owner, name)),
            url: self.url("batchline", application, name),
        })
    }

    /// Returns the URL of a database.
    pub fn url(&self, role: &str, password: Option<&str>, database: &str) -> String {
        let password = password.map_or(String::new(), |password| format!(":{password}"));
        let port = self.port;
        format!("postgres://{role}{password}@127.0.0.1:{port}/{database}")
    }
}

impl User {
    /// Returns `None` unless this program runs as root. `directory` is where the server's files are.
    fn choose(directory: &Path) -> anyhow::Result<Option<Self>> {
        if !getuid().is_root() {
            return Ok(None);
        }
        let name = match succeeds(Command::new("id").arg("postgres")) {
            true => "postgres",
            false => "nobody",
        };
        let uid = output(Command::new("id").args(["-u", name]))?.parse()?;
        let group = output(Command::new("id").args(["-gn", name]))?;
        // Changing the user clears the signal that is sent when this program ends, so it is set again.
        let unprivileged = [
            "setpriv",
            &format!("--reuid={name}"),
            &format!("--regid={group}"),
            "--clear-groups",
            "--pdeathsig",
            "INT",
        ]
        .map(str::to_owned);
        // Others can't traverse directories like /root without a capability, which programs that PostgreSQL runs inherit:
        // reading everything if possible, and otherwise, as in most containers, writing too. The last option makes
        // access(2), which PostgreSQL calls on its programs, respect it.
        let capabilities = [&[][..], &["dac_read_search"], &["dac_override"]];
        for capability in capabilities {
            let traversing = capability.iter().flat_map(|name| {
                [
                    format!("--inh-caps=+{name}"),
                    format!("--ambient-caps=+{name}"),
                    "--securebits=+no_setuid_fixup".to_owned(),
                ]
            });
            let setpriv = unprivileged.iter().cloned().chain(traversing);
            let user = Self {
                uid,
                setpriv: setpriv.chain(["--".to_owned()]).collect(),
            };
            let mut reaches = run_as(Some(&user), Path::new("test"));
            reaches.arg("-x").arg(POSTGRES.program("postgres"));
            reaches.args(["-a", "-x"]).arg(directory);
            if succeeds(&mut reaches) {
                return Ok(Some(user));
            }
        }
        bail!(
            "PostgreSQL does not run as root, and user {name} cannot reach {} and {}: run this as a normal user, or in a directory that everybody can read, and set BATCHLINE_CACHE to such a directory",
            POSTGRES.home().display(),
            directory.display()
        )
    }
}

fn run_as(user: Option<&User>, program: &Path) -> Command {
    let Some(user) = user else {
        return command(program);
    };
    let mut setpriv = command(&user.setpriv[0]);
    setpriv.args(&user.setpriv[1..]).arg(program);
    setpriv
}

/// Returns whether there are `psql` and other client programs. npm's build of PostgreSQL has none.
pub fn has_client_programs() -> bool {
    let psql = fs::metadata(POSTGRES.program("psql"));
    psql.is_ok_and(|psql| psql.permissions().mode() & 0o111 != 0)
}

/// Fails if there are no client programs.
pub fn require_client_programs() -> anyhow::Result<()> {
    ensure!(
        has_client_programs(),
        "psql is missing: run script/setup, or install PostgreSQL with its client programs (Debian: the package postgresql)"
    );
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
