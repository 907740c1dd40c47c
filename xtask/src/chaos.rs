//! Kills, freezes and replaces every part of Batchline while jobs are processed, and then checks their results. Each row
//! must have exactly one verdict in both the ledger and results.csv, and an open page must show the end without a reload.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;

use crate::{
    build,
    process::{Background, output, pause, run as run_command},
    project::{command, say, target},
    services::{Batchline, Postgres, Services, Temporal, free_ports, has_client_programs},
    setup,
    tools::{Chromium, POSTGRES},
    work_directory::WorkDirectory,
};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// As script/test runs it, with the development build
    #[arg(long)]
    short: bool,
}

/// How much is done.
#[derive(Debug, Clone)]
pub struct Extent {
    programs: PathBuf,
    site: PathBuf,
    /// Rows of the large file.
    rows: u32,
    /// Faults in each scenario, but for those that kill a worker.
    rounds: u32,
    kills: u32,
}

impl Extent {
    pub fn short() -> Self {
        Self {
            programs: target().join("debug"),
            site: target().join("site-dev"),
            rows: 3_000_000,
            rounds: 2,
            kills: 3,
        }
    }

    /// For the release build.
    fn long() -> Self {
        Self {
            programs: target().join("release"),
            site: target().join("site"),
            rows: 12_000_000,
            rounds: 4,
            kills: 20,
        }
    }
}

/// Small jobs that are started at once in the scenarios with many of them.
const SMALL_JOBS: u32 = 300;
const SMALL_ROWS: u32 = 5000;

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillWorker,
    KillServer,
    KillTemporal,
    StopPostgresAtOnce,
    ReplaceWorker,
    FreezeWorker,
}

/// Batchline with the files that are processed.
struct Chaos<'a> {
    directory: &'a WorkDirectory,
    services: Services,
    postgres: Postgres,
    temporal: Temporal,
    batchline: Batchline,
    chromium: Chromium,
    file: PathBuf,
    small_file: PathBuf,
    /// The jobs of the scenario.
    jobs: Vec<String>,
}

pub fn run_with(options: &Options) -> anyhow::Result<()> {
    if options.short {
        return run(Extent::short());
    }
    let extent = Extent::long();
    setup::run(setup::Options::TEST)?;
    build::release_with_site(&extent.site)?;
    run(extent)
}

pub fn run(extent: Extent) -> anyhow::Result<()> {
    ensure!(
        has_client_programs(),
        "psql is missing: install PostgreSQL with its client programs (Debian: the package postgresql)"
    );
    let directory = WorkDirectory::new("chaos")?;
    let result = Chaos::start(&directory, &extent).and_then(|mut chaos| chaos.scenarios(&extent));
    directory.keep_logs_of(result)?;
    say("\nscript/chaos: everything was exact");
    Ok(())
}

impl<'a> Chaos<'a> {
    fn start(directory: &'a WorkDirectory, extent: &Extent) -> anyhow::Result<Self> {
        let [postgres_port, temporal_port, web, api] = free_ports()?;
        let postgres = Postgres {
            data: directory.file("postgres"),
            port: postgres_port,
            password: None,
            settings: Vec::new(),
        };
        let database = directory.file("temporal.db").display().to_string();
        let temporal = Temporal {
            port: temporal_port,
            arguments: vec!["--db-filename".to_owned(), database],
        };
        let storage = directory.file("uploads");
        let batchline = Batchline {
            programs: extent.programs.clone(),
            logs: directory.path().to_owned(),
            settings: vec![
                ("DATABASE_URL", postgres.url("batchline", "postgres")),
                ("TEMPORAL_ADDRESS", temporal.address()),
                ("STORAGE_URL", format!("file://{}", storage.display())),
                ("SITE_ROOT", extent.site.display().to_string()),
                ("WEB_ADDR", format!("127.0.0.1:{web}")),
                ("API_ADDR", format!("127.0.0.1:{api}")),
                ("METRICS_ADDR", "127.0.0.1:0".to_owned()),
                ("SERVER_METRICS_ADDR", "127.0.0.1:0".to_owned()),
            ],
        };
        let mut chaos = Self {
            services: Services::default(),
            postgres,
            temporal,
            batchline,
            chromium: Chromium::find().context("there is no Chromium: run script/setup --test")?,
            file: directory.file("payments.csv"),
            small_file: directory.file("small.csv"),
            jobs: Vec::new(),
            directory,
        };
        say(format!("Generating {} rows", extent.rows));
        let (file, small_file) = (chaos.file.clone(), chaos.small_file.clone());
        for (file, rows) in [(file, extent.rows), (small_file, SMALL_ROWS)] {
            run_command(chaos.load("generate").arg(file).arg(rows.to_string()))?;
        }
        chaos.start_postgres()?;
        chaos.postgres.create_application_role("postgres", None)?;
        chaos.start_temporal()?;
        chaos.begin_worker("worker")?;
        chaos.start_server()?;
        Ok(chaos)
    }

    fn start_postgres(&mut self) -> anyhow::Result<()> {
        let log = self.directory.log("postgres");
        self.postgres.start(&mut self.services, &log)
    }

    fn start_temporal(&mut self) -> anyhow::Result<()> {
        let log = self.directory.log("temporal");
        self.temporal.start(&mut self.services, &log)
    }

    fn begin_worker(&mut self, name: &str) -> anyhow::Result<()> {
        self.batchline.begin_worker(&mut self.services, name)
    }

    fn start_server(&mut self) -> anyhow::Result<()> {
        self.batchline.start_server(&mut self.services, "server")
    }

    /// A command of `script/lib/chaos.py`.
    fn load(&self, task: &str) -> Command {
        let mut load = command("python3");
        load.env("API_ADDR", self.batchline.setting("API_ADDR"));
        load.env("DATABASE_URL", self.batchline.setting("DATABASE_URL"));
        load.env("CHAOS_DIRECTORY", self.directory.path());
        load.env("CHAOS_PSQL", POSTGRES.program("psql"));
        load.args(["-B", "script/lib/chaos.py", task]);
        load
    }

    fn load_jobs(&self, task: &str) -> Command {
        let mut load = self.load(task);
        load.args(&self.jobs);
        load
    }

    /// Waits for progress. Returns whether the jobs are over.
    fn advance(&self) -> anyhow::Result<bool> {
        Ok(output(&mut self.load_jobs("advance"))? == "over")
    }

    fn fault(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::KillWorker => {
                self.services.end("worker", Signal::KILL)?;
                self.begin_worker("worker")
            }
            Fault::KillServer => {
                self.services.end("server", Signal::KILL)?;
                self.start_server()
            }
            Fault::KillTemporal => {
                self.services.end("Temporal", Signal::KILL)?;
                a_moment()?;
                self.start_temporal()
            }
            Fault::StopPostgresAtOnce => {
                // The signal of pg_ctl stop -m immediate.
                self.services.end("PostgreSQL", Signal::QUIT)?;
                a_moment()?;
                self.start_postgres()
            }
            Fault::ReplaceWorker => {
                self.begin_worker("successor")?;
                self.services.end("worker", Signal::TERM)?;
                self.begin_worker("worker")?;
                self.services.end("successor", Signal::TERM)
            }
            // The frozen worker is considered dead, the other one takes over its chunks, and then it wakes up in the middle
            // of its work.
            Fault::FreezeWorker => {
                self.services.signal("worker", Signal::STOP)?;
                self.advance()?;
                // More than the heartbeat timeout.
                pause(Duration::from_secs(7))?;
                self.advance()?;
                self.services.signal("worker", Signal::CONT)
            }
        }
    }

    /// Repeats a fault as long as the jobs are running, each time after some progress.
    fn repeat(&mut self, fault: Fault, times: u32) -> anyhow::Result<()> {
        for round in 0..times {
            if self.advance()? {
                if round == 0 {
                    bail!("the jobs were over before any fault could hit them: use more rows");
                }
                say(format!(
                    "  faults: {round} of {times}, then the jobs were over"
                ));
                return Ok(());
            }
            a_moment()?;
            self.fault(fault)?;
        }
        say(format!("  faults: {times}"));
        Ok(())
    }

    /// Opens a page in a real browser, which stays open until the first job has ended.
    fn watch_page(&mut self) -> anyhow::Result<Background> {
        let watching = self.directory.file("watching");
        let _ = fs::remove_file(&watching);
        let log = File::create(self.directory.log("page"))?;
        let mut page = self.chromium.npx();
        page.env(
            "BATCHLINE_URL",
            format!("http://{}", self.batchline.setting("WEB_ADDR")),
        );
        page.env("CHAOS_JOB", &self.jobs[0]);
        page.env("CHAOS_WATCHING", &watching);
        page.args(["playwright", "test", "watched", "--project", "chromium"]);
        page.args(["--reporter", "line", "--output"]);
        page.arg(self.directory.file("watched"));
        let page = Background::start(page.stdout(log.try_clone()?).stderr(log))?;
        self.services.wait_until("page", || watching.exists())?;
        Ok(page)
    }

    fn scenario(&mut self, name: &str, fault: Fault, times: u32) -> anyhow::Result<()> {
        let file = self.file.clone();
        self.run_scenario(name, &file, 1, fault, times)
    }

    /// The same with many small files, which are processed in a single step and share workflows.
    fn small_scenario(&mut self, name: &str, fault: Fault, times: u32) -> anyhow::Result<()> {
        let file = self.small_file.clone();
        self.run_scenario(name, &file, SMALL_JOBS, fault, times)
    }

    fn run_scenario(
        &mut self,
        name: &str,
        file: &PathBuf,
        count: u32,
        fault: Fault,
        times: u32,
    ) -> anyhow::Result<()> {
        say(format!("\n== {name}"));
        let uploaded = output(self.load("upload").arg(file).arg(count.to_string()))?;
        self.jobs = uploaded.split(' ').map(str::to_owned).collect();
        let page = self.watch_page()?;
        // The first faults also hit the starts of many jobs.
        let starts = Background::start(&mut self.load_jobs("start"))?;
        self.repeat(fault, times)?;
        ensure!(starts.succeeded()?, "a job could not be started");
        let mut check = self.load("check");
        say(format!("  {}", output(check.arg(file).args(&self.jobs))?));
        if !page.succeeded()? {
            eprint!("{}", fs::read_to_string(self.directory.log("page"))?);
            bail!("the page that stayed open did not show the end");
        }
        say("  the open page shows it");
        Ok(())
    }

    fn scenarios(&mut self, extent: &Extent) -> anyhow::Result<()> {
        let Extent { rounds, kills, .. } = *extent;
        say(
            "\n== the server is killed in the middle of an upload (its leftovers must be gone at the end)",
        );
        let begun = self.directory.file("hang");
        let hanging = Background::start(self.load("hang").stdout(File::create(&begun)?))?;
        self.services.wait_until("server", || {
            fs::read_to_string(&begun).is_ok_and(|said| said.contains("begun"))
        })?;
        self.fault(Fault::KillServer)?;
        drop(hanging);

        self.scenario("the worker is killed", Fault::KillWorker, kills)?;
        self.scenario("the server is killed", Fault::KillServer, rounds)?;
        self.scenario("Temporal is killed", Fault::KillTemporal, rounds)?;
        self.scenario(
            "PostgreSQL is stopped at once",
            Fault::StopPostgresAtOnce,
            rounds,
        )?;
        let name = "the worker is killed amidst 300 small jobs";
        self.small_scenario(name, Fault::KillWorker, rounds)?;
        let name = "Temporal is killed amidst 300 small jobs";
        self.small_scenario(name, Fault::KillTemporal, rounds)?;
        self.scenario("the worker is replaced", Fault::ReplaceWorker, rounds)?;
        self.begin_worker("other")?;
        self.scenario(
            "a worker is frozen and wakes up late",
            Fault::FreezeWorker,
            1,
        )?;

        say("\n== the files in the storage");
        say(output(&mut self.load("orphans"))?);
        Ok(())
    }
}

/// Up to half a second, so that the fault can hit any step.
fn a_moment() -> anyhow::Result<()> {
    pause(Duration::from_millis(fastrand::u64(..500)))
}
