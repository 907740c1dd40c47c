//! Server and worker need no rights in PostgreSQL beyond their own tables, and the owner none beyond the database.

use anyhow::ensure;
use rustix::process::Signal;

use super::Shared;
use crate::{
    process::{output, succeeds},
    services::{Database, Services},
};

const DATABASE: &str = "earlier";

/// A database that the superuser created, as in earlier versions, must work with two roles.
pub fn test(shared: &Shared, services: &mut Services) -> anyhow::Result<()> {
    let postgres = &shared.postgres;
    postgres.create_database(DATABASE)?;
    let of_superuser = Database {
        owner_url: None,
        url: postgres.url("postgres", None, DATABASE),
    };
    let start = |services: &mut Services, name: &str, database: &Database| {
        let batchline = shared.batchline("default", database);
        batchline.migrate(database)?;
        batchline.start_server(services, name)?;
        services.end(name, Signal::TERM)
    };
    start(services, "server of the superuser", &of_superuser)?;
    // Running it again must not fail.
    postgres.database_for_batchline(DATABASE, None)?;
    let of_two_roles = postgres.database_for_batchline(DATABASE, None)?;
    start(services, "server of batchline", &of_two_roles)?;

    let run_as = |role: &str, statement: &str| {
        let mut psql = postgres.psql(DATABASE);
        psql.args(["--username", role, "--command", statement]);
        psql
    };
    let owned_by_others =
        "select count(*) from pg_class where relnamespace = 'public'::regnamespace
        and pg_get_userbyid(relowner) <> 'batchline_owner'";
    ensure!(
        output(&mut run_as("batchline", owned_by_others))? == "0",
        "the superuser still owns something in the database"
    );
    for role in ["batchline", "batchline_owner"] {
        ensure!(
            !succeeds(&mut run_as(role, "copy (select 1) to program 'true'")),
            "{role} could run programs as the user of PostgreSQL"
        );
    }
    ensure!(
        !succeeds(&mut run_as("batchline", "delete from audit_events")),
        "server and worker could change the audit"
    );
    ensure!(
        succeeds(&mut run_as(
            "batchline_owner",
            "create table later (id int); drop table later, users cascade"
        )),
        "a migration could not change what an earlier version has created"
    );
    Ok(())
}
