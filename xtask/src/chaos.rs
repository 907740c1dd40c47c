//! Kills, freezes and replaces every part of Batchline while jobs are processed, and then checks their results. Each row
//! must have exactly one verdict in both the ledger and results.csv, and an open page must show the end without a reload.

mod checks;

use std::{
    fs::{self, File},
    io::Write,
    net::TcpStream,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::Signal;
use serde_json::Value;
use testkit::Transactions;

use crate::{
    api::Api,
    build, clients,
    process::{Background, check_interruption, pause},
    project::{say, target},
    services::{
        Batchline, Postgres, Services, Temporal, free_ports, local, require_client_programs,
    },
    setup,
    tools::Chromium,
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
    rows: u64,
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

const DATABASE: &str = "chaos";

/// Small jobs that are started at once in the scenarios with many of them.
const SMALL_JOBS: usize = 300;
const SMALL_ROWS: u64 = 5000;

/// How long a condition may take without any progress.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long the server may take to respond.
const RESPONSE: Duration = Duration::from_secs(10);

/// The size of an upload that breaks off, and how much of it is sent.
const HANGING_BYTES: usize = 900_000_000;
const SENT_BYTES: usize = 12 << 20;

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
    api: Api,
    large: Planted,
    small: Planted,
    /// The jobs of the scenario.
    jobs: Vec<i64>,
    /// The committed chunks of these jobs when [`Chaos::advance`] last looked.
    committed: i64,
}

/// A file on disk with the result that its jobs must have.
#[derive(Clone)]
struct Planted {
    path: PathBuf,
    content: Transactions,
}

pub fn run_with(options: &Options) -> anyhow::Result<()> {
    if options.short {
        return run(Extent::short());
    }
    let extent = Extent::long();
    setup::run(setup::Options::TEST)?;
    build::release(&extent.site)?;
    run(extent)
}

pub fn run(extent: Extent) -> anyhow::Result<()> {
    require_client_programs()?;
    let directory = WorkDirectory::new("chaos")?;
    let result = Chaos::start(&directory, &extent).and_then(|mut chaos| chaos.scenarios(&extent));
    directory.keep_logs_of(result)?;
    say("\nscript/chaos: everything was exact");
    Ok(())
}

impl<'a> Chaos<'a> {
    fn start(directory: &'a WorkDirectory, extent: &Extent) -> anyhow::Result<Self> {
        let [postgres_port, temporal_port, web, api] = free_ports()?;
        let postgres = Postgres::temporary(directory, postgres_port);
        let file = directory.file("temporal.db").display().to_string();
        let temporal = Temporal::new(temporal_port, &["--db-filename", &file]);
        let mut services = Services::default();
        postgres.start(&mut services, &directory.log("postgres"))?;
        let database = postgres.database_for_batchline(DATABASE, None)?;
        let batchline = Batchline::isolated(
            extent.programs.clone(),
            directory,
            &database,
            &temporal,
            [web, api],
        );
        let site = extent.site.display().to_string();
        let batchline = batchline.with([("SITE_ROOT", &*site)]);
        batchline.migrate(&database)?;
        say(format!("Generating {} rows", extent.rows));
        let mut chaos = Self {
            services,
            postgres,
            temporal,
            batchline,
            chromium: Chromium::find().context("there is no Chromium: run script/setup --test")?,
            api: Api::new(&local(api), RESPONSE),
            large: Planted::write(directory.file("payments.csv"), extent.rows)?,
            small: Planted::write(directory.file("small.csv"), SMALL_ROWS)?,
            jobs: Vec::new(),
            committed: 0,
            directory,
        };
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

    /// Waits for progress of the jobs. Returns whether they are over.
    fn advance(&mut self) -> anyhow::Result<bool> {
        let (committed, are_over) = eventually("progress", || {
            // A single request, however many jobs there are, because they may end before many requests are answered.
            let user_id = &self.api.job(self.jobs[0])?["user_id"];
            let found = self.api.get(&format!("/users/{user_id}/jobs"))?;
            let jobs = found.as_array().context("jobs are an array")?.iter();
            let jobs =
                jobs.filter(|job| job["id"].as_i64().is_some_and(|id| self.jobs.contains(&id)));
            let (mut committed, mut are_over) = (0, true);
            for job in jobs {
                committed += job["batch_completed"].as_i64().unwrap_or_default();
                are_over &= is_over(job);
            }
            Ok((are_over || committed > self.committed).then_some((committed, are_over)))
        })?;
        self.committed = committed;
        Ok(are_over)
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
        page.env("CHAOS_JOB", self.jobs[0].to_string());
        page.env("CHAOS_WATCHING", &watching);
        page.args(["playwright", "test", "watched", "--project", "chromium"]);
        page.args(["--reporter", "line", "--output"]);
        page.arg(self.directory.file("watched"));
        let page = Background::start(page.stdout(log.try_clone()?).stderr(log))?;
        self.services.wait_until("page", || watching.exists())?;
        Ok(page)
    }

    fn scenario(&mut self, name: &str, fault: Fault, times: u32) -> anyhow::Result<()> {
        let large = self.large.clone();
        self.run_scenario(name, &large, 1, fault, times)
    }

    /// Runs a scenario with many small files, which are processed in a single step and share workflows.
    fn small_scenario(&mut self, name: &str, fault: Fault, times: u32) -> anyhow::Result<()> {
        let small = self.small.clone();
        self.run_scenario(name, &small, SMALL_JOBS, fault, times)
    }

    fn run_scenario(
        &mut self,
        name: &str,
        file: &Planted,
        count: usize,
        fault: Fault,
        times: u32,
    ) -> anyhow::Result<()> {
        say(format!("\n== {name}"));
        let user_id = eventually("a user", || self.api.create_user().map(Some))?;
        let upload = || {
            eventually("the upload", || {
                self.api.upload(user_id, &file.path).map(Some)
            })
        };
        self.jobs = (0..count)
            .map(|_| upload())
            .collect::<anyhow::Result<_>>()?;
        self.committed = 0;
        let page = self.watch_page()?;
        // The first faults also hit the starts of many jobs.
        let (api, jobs) = (self.api.clone(), self.jobs.clone());
        let starts = thread::spawn(move || {
            clients::for_each(&jobs, |job_id| {
                eventually("the start", || api.command(job_id, "start").map(Some))
            })
        });
        self.repeat(fault, times)?;
        starts.join().expect("it doesn't panic")?;
        say(format!("  {}", self.check(file)?));
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
        let hanging = self.begin_upload()?;
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
        self.check_storage()?;
        say("  nothing is left of the interrupted upload, and every id index belongs to a job");
        Ok(())
    }

    /// Begins an upload that goes on for as long as the connection is held.
    fn begin_upload(&self) -> anyhow::Result<TcpStream> {
        let user_id = self.api.create_user()?;
        let mut connection = TcpStream::connect(self.api.address())?;
        write!(
            connection,
            "POST /jobs?user_id={user_id} HTTP/1.1\r\nHost: {}\r\nContent-Length: {HANGING_BYTES}\r\n\
             Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n",
            self.api.address()
        )?;
        connection.write_all(&vec![b'x'; SENT_BYTES])?;
        eventually("the file to be begun", || {
            Ok((!self.stored_files()?.is_empty()).then_some(()))
        })?;
        Ok(connection)
    }
}

impl Planted {
    fn write(path: PathBuf, rows: u64) -> anyhow::Result<Self> {
        let content = Transactions::new(rows).with_errors();
        content.write(&mut File::create(&path)?)?;
        Ok(Self { path, content })
    }
}

fn is_over(job: &Value) -> bool {
    matches!(
        job["status"].as_str(),
        Some("completed" | "failed" | "cancelled")
    )
}

/// Asks until there is an answer. Errors count as none, because any part may be down.
fn eventually<T>(
    what: &str,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        check_interruption()?;
        match answer {
            Ok(Some(answer)) => return Ok(answer),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("waited in vain for {what}")));
            }
            Ok(None) if Instant::now() > deadline => bail!("waited in vain for {what}"),
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Up to half a second, so that the fault can hit any step.
fn a_moment() -> anyhow::Result<()> {
    pause(Duration::from_millis(fastrand::u64(..500)))
}
