//! Server and worker need no rights in PostgreSQL beyond their own database.

use anyhow::ensure;
use rustix::process::Signal;

use super::Shared;
use crate::{
    process::{output, succeeds},
    services::{Services, has_client_programs},
};

const DATABASE: &str = "earlier";

/// A database that the superuser created, as in earlier versions, must work with a role that has no rights beyond it.
pub fn test(shared: &Shared, services: &mut Services) -> anyhow::Result<()> {
    // npm's build of PostgreSQL has no client programs.
    if !has_client_programs() {
        return Ok(());
    }
    let postgres = &shared.postgres;
    postgres.create_database(DATABASE)?;
    for role in ["postgres", "batchline"] {
        if role == "batchline" {
            postgres.create_application_role(DATABASE, None)?;
            // Running it again must not fail.
            postgres.create_application_role(DATABASE, None)?;
        }
        let name = format!("server of {role}");
        let batchline = shared.batchline("default", DATABASE, role);
        batchline.start_server(services, &name)?;
        services.end(&name, Signal::TERM)?;
    }
    let as_application = |statement: &str| {
        let mut psql = postgres.psql(DATABASE);
        psql.args(["--username=batchline", "--command", statement]);
        psql
    };
    let owned_by_others =
        "select count(*) from pg_class where relnamespace = 'public'::regnamespace
        and pg_get_userbyid(relowner) <> 'batchline'";
    ensure!(
        output(&mut as_application(owned_by_others))? == "0",
        "the superuser still owns something in the database"
    );
    ensure!(
        succeeds(&mut as_application(
            "create table later (id int); drop table later, users cascade"
        )),
        "a migration could not change what an earlier version has created"
    );
    ensure!(
        !succeeds(&mut as_application("copy (select 1) to program 'true'")),
        "server and worker could run programs as the user of PostgreSQL"
    );
    Ok(())
}
