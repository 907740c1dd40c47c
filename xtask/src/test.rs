//! Everything that must pass before a change is done. Leaves nothing running.

mod api;
mod lints;
mod roles;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail};
use clap::ValueEnum;

use crate::{
    chaos, package,
    process::run,
    project::{cargo, say, target},
    services::{Batchline, Database, Postgres, Services, Temporal, free_ports, start_object_store},
    setup,
    site::{self, Profile},
    tools::{Chromium, TEMPORAL},
    work_directory::WorkDirectory,
};

/// The password of the admin of servers on which everybody has to sign in.
pub const ADMIN_PASSWORD: &str = "quite an odd phrase";
pub const ADMIN_EMAIL: &str = "root@example.com";

/// The maximum memory of a server or worker at any time of the tests, in MB.
const MAX_MEMORY: u64 = 400;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The part to run. By default all of them
    #[arg(value_enum)]
    part: Option<Part>,
    /// Which tests of the part: names, as in: script/test rust clock. Or arguments for Playwright, as in: script/test
    /// browser -g upload
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    chosen: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting, dependencies, lints and documentation: what needs no test
    Lints,
    /// All but the browser
    Rust,
    /// The API's description: two validators and Schemathesis
    Api,
    /// The tests in a browser
    Browser,
    /// What happens when parts are killed: the short form of script/chaos
    Faults,
}

/// Runs the steps of a part and measures them.
struct Steps {
    part: Option<Part>,
    /// Seconds and names.
    took: Vec<(u64, &'static str)>,
}

impl Steps {
    fn step(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        say(format!("\n== {name}"));
        let began = Instant::now();
        step().with_context(|| format!("FAILED: {name}"))?;
        self.took.push((began.elapsed().as_secs(), name));
        Ok(())
    }

    fn includes(&self, part: Part) -> bool {
        self.part.is_none_or(|only| only == part)
    }
}

/// The services that tests share.
struct Shared<'a> {
    directory: &'a WorkDirectory,
    postgres: Postgres,
    temporal: Temporal,
    ports: Ports,
    /// The programs that are tested.
    programs: PathBuf,
}

struct Ports {
    object_store: u16,
    web: u16,
    api: u16,
    /// Of pages and API of the server with accounts.
    accounts: [u16; 2],
}

pub fn run_with(options: &Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let directory = WorkDirectory::new("test")?;
    let mut steps = Steps {
        part: options.part,
        took: Vec::new(),
    };
    let result = run_steps(&mut steps, &directory, &options.chosen);
    directory.keep_logs_of(result)?;
    say("");
    for (seconds, name) in steps.took {
        say(format!("{seconds:5} s  {name}"));
    }
    let seconds = began.elapsed().as_secs();
    say(format!(
        "script/test: all passed in {} min {} s",
        seconds / 60,
        seconds % 60
    ));
    Ok(())
}

fn run_steps(
    steps: &mut Steps,
    directory: &WorkDirectory,
    chosen: &[String],
) -> anyhow::Result<()> {
    let part = steps.part;
    let is_part_of_rust = part == Some(Part::Rust) && !chosen.is_empty();
    let tools = match part {
        Some(Part::Rust) => setup::Options::TEST_RUST,
        _ => setup::Options::TEST,
    };
    steps.step("tools", || setup::run(tools))?;
    if steps.includes(Part::Lints) || part == Some(Part::Rust) && !is_part_of_rust {
        steps.step("formatting", || {
            run(cargo().args(["fmt", "--all", "--check"]))
        })?;
        steps.step("dependencies", lints::dependencies)?;
        if part != Some(Part::Rust) {
            steps.step("lints of scripts, styles and TypeScript", lints::scripts)?;
            steps.step("alert rules", lints::alerts)?;
        }
        steps.step("lints and queries", lints::workspace)?;
        steps.step("lints for the browser", lints::for_browser)?;
        steps.step("fuzz targets", lints::fuzz_targets)?;
        steps.step("documentation", lints::documentation)?;
    }
    if part == Some(Part::Lints) {
        return Ok(());
    }
    steps.step("build", || {
        // Programs and tests together. Separately, the tests' dependencies would cause everything to be compiled again.
        run(cargo().args(["build", "--workspace", "--all-targets", "--locked"]))
    })?;
    // script/server may be serving another one.
    let site = target().join("site-dev");
    if !matches!(part, Some(Part::Rust | Part::Api)) {
        steps.step("build for the browser", || {
            site::build(&site::Options {
                directory: site.clone(),
                profile: Profile::Dev,
            })
        })?;
    }
    let mut services = Services::default();
    if part != Some(Part::Faults) {
        let shared = Shared::new(directory)?;
        steps.step("services", || shared.start(&mut services))?;
        // Of the programs and the site that are already built. A test starts Batchline from it.
        let mut archive = None;
        if part.is_none() {
            steps.step("release archive", || {
                let directory = directory.file("package");
                archive = Some(package::assemble(&directory, Profile::Dev, &site)?);
                Ok(())
            })?;
        }
        if steps.includes(Part::Rust) {
            steps.step("unit and integration tests", || {
                let chosen = if is_part_of_rust { chosen } else { &[] };
                shared.test_rust(&mut services, archive.as_deref(), chosen)
            })?;
        }
        if steps.includes(Part::Rust) && !is_part_of_rust {
            steps.step("roles without superuser", || {
                roles::test(&shared, &mut services)
            })?;
        }
        if steps.includes(Part::Api) {
            steps.step("description of the API", || {
                api::test(&shared, &mut services)
            })?;
        }
        if steps.includes(Part::Browser) {
            steps.step("browser tests", || {
                shared.test_browser(&mut services, &site, chosen)
            })?;
        }
    }
    if steps.includes(Part::Faults) {
        steps.step("faults", || chaos::run(chaos::Extent::short()))?;
    }
    Ok(())
}

impl<'a> Shared<'a> {
    fn new(directory: &'a WorkDirectory) -> anyhow::Result<Self> {
        let [
            postgres,
            temporal,
            object_store,
            web,
            api,
            accounts,
            accounts_api,
        ] = free_ports()?;
        // Workflow ids contain job ids, and several tests number jobs from 1, hence namespaces. Workflows continue in a new
        // execution after a few activities, which would otherwise take a file of gigabytes.
        let arguments = [
            "--namespace",
            "api",
            "--namespace",
            "browser",
            "--dynamic-config-value",
            "limit.historyCount.suggestContinueAsNew=30",
        ];
        Ok(Self {
            directory,
            postgres: Postgres {
                // The tests kill processes but not the machine, so it can be off, which speeds up their many databases.
                settings: vec!["fsync=off".to_owned()],
                ..Postgres::temporary(directory, postgres)
            },
            temporal: Temporal::new(temporal, &arguments),
            ports: Ports {
                object_store,
                web,
                api,
                accounts: [accounts, accounts_api],
            },
            programs: target().join("debug"),
        })
    }

    fn start(&self, services: &mut Services) -> anyhow::Result<()> {
        self.postgres
            .start(services, &self.directory.log("postgres"))?;
        self.temporal
            .start(services, &self.directory.log("temporal"))
    }

    /// Returns a server and a worker with this database and a separate namespace and directory for files.
    fn batchline(&self, namespace: &str, database: &Database) -> Batchline {
        let batchline = Batchline::isolated(
            self.programs.clone(),
            self.directory,
            database,
            &self.temporal,
            [self.ports.web, self.ports.api],
        );
        let storage = self.directory.file(namespace);
        batchline.with([
            ("TEMPORAL_NAMESPACE", namespace),
            ("STORAGE_URL", &format!("file://{}", storage.display())),
        ])
    }

    /// Runs the tests whose names contain one of `names`, or all.
    fn test_rust(
        &self,
        services: &mut Services,
        archive: Option<&Path>,
        names: &[String],
    ) -> anyhow::Result<()> {
        let store = self.ports.object_store;
        start_object_store(services, store, &self.directory.log("object-store"))?;
        let mut test = cargo();
        test.args(["test", "--workspace", "--locked"]);
        test.env(
            "DATABASE_URL",
            self.postgres.url("postgres", None, "postgres"),
        );
        test.env("TEMPORAL_ADDRESS", self.temporal.address());
        test.env("TEMPORAL_CLI", TEMPORAL.home().join("temporal"));
        test.env("S3_ENDPOINT", format!("http://127.0.0.1:{store}"));
        test.env("SERVER_METRICS_ADDR", "127.0.0.1:0");
        if let Some(archive) = archive {
            test.env("RELEASE_ARCHIVE", archive);
        }
        if !names.is_empty() {
            // Otherwise, those in the documentation would be compiled, too.
            test.args(["--lib", "--bins", "--tests", "--"]).args(names);
        }
        run(&mut test)
    }

    fn test_browser(
        &self,
        services: &mut Services,
        site: &Path,
        arguments: &[String],
    ) -> anyhow::Result<()> {
        let Some(chromium) = Chromium::find() else {
            bail!("there is no Chromium: run script/setup --test");
        };
        let database = self.postgres.database_for_batchline("browser", None)?;
        let batchline = self.batchline("browser", &database).with([
            ("MAX_UPLOAD_BYTES", "200000000"),
            ("SITE_ROOT", &site.display().to_string()),
        ]);
        batchline.migrate(&database)?;
        // One step at a time, because the tests need some seconds to act on a job while it is being processed.
        let one_at_a_time = batchline.with([("WORKER_CONCURRENCY", "1")]);
        one_at_a_time.start_worker(services, "worker")?;
        batchline.start_server(services, "server")?;
        batchline.create_admin(ADMIN_EMAIL, ADMIN_PASSWORD)?;
        // The tests sign in more often than people do.
        let accounts = batchline.with_accounts(self.ports.accounts).with([
            ("MAX_SIGN_INS_PER_MINUTE", "0"),
            ("MAX_SIGN_INS_PER_ACCOUNT", "0"),
        ]);
        accounts.start_server(services, "accounts")?;
        let mut tests = chromium.npx();
        let url = |batchline: &Batchline, setting| format!("http://{}", batchline.setting(setting));
        tests.envs([
            ("BATCHLINE_URL", url(&batchline, "WEB_ADDR")),
            ("BATCHLINE_API_URL", url(&batchline, "API_ADDR")),
            ("BATCHLINE_ACCOUNTS_URL", url(&accounts, "WEB_ADDR")),
            ("BATCHLINE_ADMIN_EMAIL", ADMIN_EMAIL.to_owned()),
            ("BATCHLINE_ADMIN_PASSWORD", ADMIN_PASSWORD.to_owned()),
            (
                "SLOW_DATABASE_URL",
                database.owner_url.unwrap_or(database.url),
            ),
        ]);
        tests.env("TESTKIT", self.programs.join("testkit"));
        tests.envs(batchline.settings.iter().map(|(name, value)| (name, value)));
        run(tests.args(["playwright", "test"]).args(arguments))?;
        for name in ["worker", "server", "accounts"] {
            services.check_peak_memory(name, MAX_MEMORY)?;
        }
        Ok(())
    }
}
