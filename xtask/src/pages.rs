//! Measures how the pages of the release build feel: Lighthouse's results for each page (its four scores, which must be
//! 100, and how long a phone takes to show it and to make it live), and how soon a click is painted on the page of a job
//! of ten million rows. Leaves nothing running.

use std::{
    fs::File,
    path::{Path, PathBuf, absolute},
};

use anyhow::Context;
use testkit::Transactions;

use crate::{
    build,
    process::run,
    project::{command, say, target},
    services::{Batchline, Postgres, Services, Temporal, free_ports, local},
    setup,
    test::{ADMIN_EMAIL, ADMIN_PASSWORD},
    tools::Chromium,
    work_directory::WorkDirectory,
};

const ROWS: u64 = 10_000_000;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directory for Lighthouse's complete reports, as HTML and JSON
    reports: Option<PathBuf>,
}

pub fn run_with(options: &Options) -> anyhow::Result<()> {
    setup::run(setup::Options::TEST)?;
    let chromium = Chromium::find().context("there is no Chromium: run script/setup --test")?;
    let site = target().join("site");
    build::release(&site)?;

    let directory = WorkDirectory::new("pages")?;
    let mut services = Services::default();
    let [postgres, temporal, web, api, accounts, accounts_api] = free_ports()?;
    let postgres = Postgres::temporary(&directory, postgres);
    postgres.start(&mut services, &directory.log("postgres"))?;
    let temporal = Temporal::new(temporal, &[]);
    temporal.start(&mut services, &directory.log("temporal"))?;
    let database = postgres.database_for_batchline("pages", None)?;
    let batchline = Batchline::isolated(
        target().join("release"),
        &directory,
        &database,
        &temporal,
        [web, api],
    );
    let batchline = batchline.with([("SITE_ROOT", &*site.display().to_string())]);
    batchline.migrate(&database)?;
    batchline.start_worker(&mut services, "worker")?;
    batchline.start_server(&mut services, "server")?;
    // Another server with the same data, for pages that require signing in.
    batchline.create_admin(ADMIN_EMAIL, ADMIN_PASSWORD)?;
    let with_accounts = batchline.with_accounts([accounts, accounts_api]);
    with_accounts.start_server(&mut services, "accounts")?;
    let file = directory.file("ten-million.csv");
    let content = Transactions::new(ROWS).with_errors();
    content.write(&mut File::create(&file)?)?;

    let measure = |script: &str, argument: &Path| {
        let mut node = command("node");
        node.current_dir("end2end");
        chromium.choose(&mut node);
        node.envs([
            ("BATCHLINE_URL", format!("http://{}", local(web))),
            ("BATCHLINE_API_URL", format!("http://{}", local(api))),
            (
                "BATCHLINE_ACCOUNTS_URL",
                format!("http://{}", local(accounts)),
            ),
            ("ADMIN_EMAIL", ADMIN_EMAIL.to_owned()),
            ("ADMIN_PASSWORD", ADMIN_PASSWORD.to_owned()),
        ]);
        run(node.arg(script).arg(argument))
    };
    let reports = match &options.reports {
        Some(reports) => {
            std::fs::create_dir_all(reports)?;
            absolute(reports)?
        }
        None => PathBuf::new(),
    };
    measure("bench/lighthouse.mjs", &reports)?;
    say("");
    measure("bench/paint.mjs", &file)
}
