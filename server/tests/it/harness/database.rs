//! Databases whose owner isn't the role of server and worker.

use std::process::{Command, Output};

use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;
use url::Url;

use super::{required, unique};

pub const SUPERUSER: &str = "postgres";
pub const OWNER: &str = "batchline_owner";
pub const APPLICATION: &str = "batchline";

/// Returns the URL of a database for a role.
pub fn url(database: &str, role: &str) -> String {
    let mut url = Url::parse(&required("DATABASE_URL")).unwrap();
    if role != SUPERUSER {
        url.set_username(role).unwrap();
    }
    url.set_path(database);
    url.into()
}

/// Executes a statement as the superuser, outside of the databases of tests.
pub async fn administer(statement: &str) {
    let mut superuser = PgConnection::connect(&required("DATABASE_URL"))
        .await
        .unwrap();
    sqlx::raw_sql(statement)
        .execute(&mut superuser)
        .await
        .unwrap();
    superuser.close().await.unwrap();
}

/// Creates a database with the tables of this version and returns its name.
pub async fn create() -> String {
    // Copying one is faster than running the migrations.
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE.get_or_init(async || {
        let name = create_empty(OWNER).await;
        migrate(&name);
        name
    });
    let (name, template) = (format!("test_{}", unique()), template.await);
    administer(&format!(
        "create database {name} template {template} owner {OWNER}"
    ))
    .await;
    // Rights to a database aren't copied.
    administer(&format!("revoke temporary on database {name} from public")).await;
    name
}

/// Creates a database without tables and returns its name.
pub async fn create_empty(owner: &str) -> String {
    for role in [OWNER, APPLICATION] {
        administer(&format!(
            "do $$ begin
                 create role {role} login;
             exception when duplicate_object or unique_violation then
             end $$"
        ))
        .await;
    }
    let name = format!("test_{}", unique());
    administer(&format!("create database {name} owner {owner}")).await;
    name
}

/// Runs `server migrate`, which must succeed.
pub fn migrate(database: &str) {
    let output = try_migrate(database, OWNER, APPLICATION);
    assert!(output.status.success(), "{output:?}");
}

/// Runs `server migrate` with this `AUDIT_RETENTION_DAYS`, which must succeed.
pub fn keep_audit(database: &str, days: &str) {
    let settings = [("AUDIT_RETENTION_DAYS", days)];
    let output = migrate_set(database, OWNER, APPLICATION, &settings);
    assert!(output.status.success(), "{output:?}");
}

/// Runs `server migrate` with these roles.
pub fn try_migrate(database: &str, owner: &str, application: &str) -> Output {
    migrate_set(database, owner, application, &[])
}

fn migrate_set(
    database: &str,
    owner: &str,
    application: &str,
    settings: &[(&str, &str)],
) -> Output {
    Command::new(env!("CARGO_BIN_EXE_server"))
        .arg("migrate")
        .envs(settings.iter().copied())
        .env("DATABASE_OWNER_URL", url(database, owner))
        .env("DATABASE_URL", url(database, application))
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap()
}
