//! The role of server and worker can neither change the audit nor the schema.

use std::{path::Path, process::Output};

use reqwest::StatusCode;
use sqlx::{Connection, PgConnection, migrate::Migrator};

use crate::harness::{
    Options, SAMPLE, TestApp,
    database::{
        APPLICATION, OWNER, SUPERUSER, administer, create_empty, keep_audit, migrate, try_migrate,
        url as database_url,
    },
    expect, unique,
};

async fn connect(database: &str, role: &str) -> PgConnection {
    let url = database_url(database, role);
    PgConnection::connect(&url).await.unwrap()
}

/// Returns the error code of a statement in a transaction that is rolled back, or nothing if it succeeds.
async fn refusal(connection: &mut PgConnection, statement: &str) -> Option<String> {
    let mut tx = connection.begin().await.unwrap();
    let result = sqlx::raw_sql(statement).execute(&mut *tx).await;
    tx.rollback().await.unwrap();
    let error = result.err()?;
    Some(error.as_database_error().unwrap().code().unwrap().into())
}

fn said(output: &Output) -> String {
    String::from_utf8([&*output.stdout, &*output.stderr].concat()).unwrap()
}

#[tokio::test]
async fn the_role_of_the_application_can_change_neither_audit_nor_schema() {
    let database = create_empty(OWNER).await;
    migrate(&database);
    // Whatever was granted since then is revoked.
    let mut owner = connect(&database, OWNER).await;
    sqlx::raw_sql(&format!(
        "grant all on audit_events, users to {APPLICATION}; grant create on schema public to public;
         grant update (actor) on audit_events to {APPLICATION}"
    ))
    .execute(&mut owner)
    .await
    .unwrap();
    migrate(&database);

    let mut application = connect(&database, APPLICATION).await;
    for statement in [
        "update audit_events set actor = 'somebody else'",
        "delete from audit_events",
        "truncate audit_events",
        "update audit_retention set least_days = 30",
        "insert into audit_retention (is_only, least_days) values (false, 30)",
        "delete from audit_retention",
        "drop table audit_events",
        "alter table audit_events disable trigger all",
        "alter table audit_events owner to current_user",
        "create trigger later before insert on audit_events execute function refuse_change()",
        "create rule later as on insert to audit_events do instead nothing",
        "lock table audit_events in access exclusive mode",
        // Neither can it backdate events, nor leave gaps in their numbers.
        "insert into audit_events (at, kind, outcome, actor, means) values (now(), 'upload', 'done', 'x', 'none')",
        "insert into audit_events (id, kind, outcome, actor, means) overriding system value
         values (1, 'upload', 'done', 'x', 'none')",
        "select nextval('audit_events_id_seq')",
        "create or replace function delete_audit_events(days integer, at_most bigint) returns bigint
         language sql as 'select 1'",
        "create or replace function refuse_change() returns trigger language plpgsql as 'begin end'",
        "drop function refuse_recent_deletion cascade",
        "create table later (id integer)",
        "create temporary table later (id integer)",
        "create schema later",
        "drop schema public cascade",
        "alter table users add column later integer",
        "truncate users",
        "drop table users cascade",
        "update _sqlx_migrations set checksum = ''",
        "delete from _sqlx_migrations",
        "alter role current_user superuser",
        &format!("set role {OWNER}"),
        &format!("alter database {database} set session_replication_role = replica"),
        "set session_replication_role = replica",
        "copy (select 1) to program 'true'",
    ] {
        let code = refusal(&mut application, statement).await;
        assert_eq!(code.as_deref(), Some("42501"), "{statement}");
    }
    for statement in [
        "insert into audit_events (kind, outcome, actor, means) values ('upload', 'done', 'x', 'none')",
        "insert into users (name, email) values ('Ann', 'ann@example.com')",
        "select nextval('result_ids')",
    ] {
        assert_eq!(
            refusal(&mut application, statement).await,
            None,
            "{statement}"
        );
    }

    // No other table is restricted, and none grants more.
    let rights: Vec<(String, bool, bool)> = sqlx::query_as(
        "select relname::text,
                has_table_privilege(oid, 'select') and has_table_privilege(oid, 'insert')
                    and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete'),
                has_table_privilege(oid, 'truncate, references, trigger')
         from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname",
    )
    .fetch_all(&mut application)
    .await
    .unwrap();
    let restricted: Vec<&str> = rights
        .iter()
        .filter(|(_, may_change, _)| !may_change)
        .map(|(name, ..)| name.as_str())
        .collect();
    assert_eq!(
        restricted,
        ["_sqlx_migrations", "audit_events", "audit_retention"]
    );
    assert!(rights.iter().all(|(.., more)| !more), "{rights:?}");

    // Who owns a function can drop it with its triggers.
    sqlx::raw_sql(&format!(
        "alter function refuse_change owner to {APPLICATION}"
    ))
    .execute(&mut connect(&database, SUPERUSER).await)
    .await
    .unwrap();
    let refused = try_migrate(&database, OWNER, APPLICATION);
    assert!(
        said(&refused).contains("of DATABASE_URL owns refuse_change"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn only_events_that_the_owner_lets_go_can_be_deleted() {
    let database = create_empty(OWNER).await;
    migrate(&database);
    sqlx::raw_sql(
        "insert into audit_events (at, kind, outcome, actor, means)
         select now() - days * interval '1 day', 'upload', 'done', days::text, 'none'
         from unnest(array[50, 41, 31, 29, 0]) as days",
    )
    .execute(&mut connect(&database, OWNER).await)
    .await
    .unwrap();
    let mut application = connect(&database, APPLICATION).await;
    // What the caller may set doesn't matter: neither objects of its own nor a time zone.
    sqlx::raw_sql("set search_path = pg_temp, public; set time zone 'Pacific/Kiritimati'")
        .execute(&mut application)
        .await
        .unwrap();
    for days in ["29", "0", "-1", "null", "-2147483648"] {
        let statement = format!("select delete_audit_events({days}, 100)");
        let refused = sqlx::raw_sql(&statement).execute(&mut application).await;
        let sentence = refused.unwrap_err().to_string();
        assert!(
            sentence.contains("those of the last 30 days can't be deleted"),
            "{days}: {sentence}"
        );
    }
    let mut left = async |days: i32, at_most: i64| {
        let deleted = sqlx::query("select delete_audit_events($1, $2)")
            .bind(days)
            .bind(at_most)
            .execute(&mut application)
            .await;
        if let Err(refused) = deleted {
            let sentence = refused.to_string();
            assert!(sentence.contains("keeps them for longer"), "{sentence}");
            return vec!["refused".to_owned()];
        }
        let left: Vec<String> = sqlx::query_scalar("select actor from audit_events order by id")
            .fetch_all(&mut application)
            .await
            .unwrap();
        left
    };
    // In a new database, none at all, until the owner says so.
    assert_eq!(left(i32::MAX, 100).await, ["refused"]);
    keep_audit(&database, "40");
    assert_eq!(left(39, 100).await, ["refused"]);
    assert_eq!(left(40, 1).await, ["41", "31", "29", "0"]);
    assert_eq!(left(40, 100).await, ["31", "29", "0"]);
    // Without the setting it stays as it is.
    migrate(&database);
    assert_eq!(left(39, 100).await, ["refused"]);
    keep_audit(&database, "30");
    assert_eq!(left(30, 100).await, ["29", "0"]);
    keep_audit(&database, "0");
    assert_eq!(left(i32::MAX, 100).await, ["refused"]);
    // Whoever else may connect can't delete any.
    let stranger = format!("stranger_{}", unique());
    administer(&format!("create role {stranger} login")).await;
    let mut connection = connect(&database, &stranger).await;
    let refused = refusal(&mut connection, "select delete_audit_events(30, 100)").await;
    assert_eq!(refused.as_deref(), Some("42501"));
}

/// Retention goes on after an upgrade.
#[tokio::test]
async fn a_database_with_events_lets_them_go_as_before() {
    /// The last migration before the owner decided.
    const LAST_MIGRATION: i64 = 20261127003002;
    let database = create_empty(OWNER).await;
    let mut owner = connect(&database, OWNER).await;
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../backend/migrations");
    let mut earlier = Migrator::new(migrations).await.unwrap();
    earlier
        .migrations
        .to_mut()
        .retain(|migration| migration.version <= LAST_MIGRATION);
    earlier.run(&mut owner).await.unwrap();
    sqlx::raw_sql(
        "insert into audit_events (at, kind, outcome, actor, means)
         values (now() - interval '31 days', 'upload', 'done', 'x', 'none')",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    migrate(&database);
    let deleted: i64 = sqlx::query_scalar("select delete_audit_events(30, 100)")
        .fetch_one(&mut connect(&database, APPLICATION).await)
        .await
        .unwrap();
    assert_eq!(deleted, 1);
}

/// The steps in docs/OPERATIONS.md.
#[tokio::test]
async fn an_installation_with_one_role_gets_two() {
    let one = format!("one_{}", unique());
    administer(&format!("create role {one} login")).await;
    let database = create_empty(&one).await;
    const WARNING: &str = "the database role of DATABASE_URL owns the audit and could change it";
    let warnings = |app: &TestApp| {
        let lines = app.printed().into_iter();
        lines.filter(|line| line.contains(WARNING)).count()
    };

    // With one role, the programs run the migrations, and each says once what that means.
    let app = TestApp::start_with(Options {
        database: Some((database.clone(), one.clone())),
        environment: vec![("AUDIT_RETENTION_DAYS", "50".to_owned())],
        ..Options::default()
    })
    .await;
    assert_eq!(warnings(&app), 2);
    // They also set what only an owner may.
    let least_days: i32 = sqlx::query_scalar("select least_days from audit_retention")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(least_days, 50);
    let user_id = app.user().await;
    let job_id = app.process_for(user_id, SAMPLE).await;
    let ended = (app.end_server(), app.end_worker());
    ended.0.await.unwrap();
    ended.1.await.unwrap();

    // As long as the role owns anything, nothing is granted or changed.
    let refused = try_migrate(&database, OWNER, &one);
    assert!(
        said(&refused).contains(&format!("the role {one} of DATABASE_URL owns")),
        "{refused:?}"
    );
    let refused = try_migrate(&database, &one, &one);
    assert!(
        said(&refused).contains(&format!("owns what {one} owns")),
        "{refused:?}"
    );

    sqlx::raw_sql(&format!("reassign owned by {one} to {OWNER}"))
        .execute(&app.pool)
        .await
        .unwrap();
    let outdated = app.server_program(&["check-storage"], &[], "");
    assert!(
        said(&outdated).contains("run `server migrate` of this version first"),
        "{outdated:?}"
    );
    let migrated = try_migrate(&database, OWNER, &one);
    assert!(migrated.status.success(), "{migrated:?}");

    let upgraded = app.beside().await;
    assert_eq!(warnings(&upgraded), 0);
    assert_eq!(upgraded.downloaded_rows(job_id).await, (4, 4, 1));
    assert_eq!(upgraded.process(SAMPLE).await["status"], "completed");
    let deletion = upgraded.delete(&format!("/users/{user_id}")).await;
    expect(deletion, StatusCode::NO_CONTENT).await;
    let mut connection = connect(&database, &one).await;
    for statement in [
        "delete from audit_events",
        "drop table audit_events",
        "create table later (id integer)",
    ] {
        let code = refusal(&mut connection, statement).await;
        assert_eq!(code.as_deref(), Some("42501"), "{statement}");
    }
}

#[tokio::test]
async fn programs_start_only_with_the_migrations_of_their_version() {
    let app = TestApp::start().await;
    let starts_after = async |change: &str| {
        sqlx::raw_sql(change).execute(&app.pool).await.unwrap();
        let output = app.server_program(&["check-storage"], &[], "");
        (output.status.success(), said(&output))
    };
    let latest = "(select max(version) from _sqlx_migrations)";
    let (starts, said) = starts_after(&format!(
        "create table kept as
         select version, description, installed_on, success, checksum, execution_time from _sqlx_migrations;
         update _sqlx_migrations set checksum = '' where version = {latest}"
    ))
    .await;
    assert!(!starts && said.contains("has been modified"), "{said}");
    let (starts, said) = starts_after(&format!(
        "delete from _sqlx_migrations where version = {latest}"
    ))
    .await;
    assert!(!starts && said.contains("isn't up to date"), "{said}");
    let (starts, said) = starts_after(
        "delete from _sqlx_migrations; 
         insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         select version, description, installed_on, success, checksum, execution_time from kept;
         insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (99990101000001, 'later', true, '', 0)",
    )
    .await;
    assert!(!starts && said.contains("99990101000001"), "{said}");
    let (starts, said) =
        starts_after("delete from _sqlx_migrations where version = 99990101000001").await;
    assert!(starts && !said.contains("WARN"), "{said}");
    let with_owner = [("DATABASE_OWNER_URL", "postgres://nowhere/x")];
    let output = app.server_program(&["check-storage"], &with_owner, "");
    let warned = self::said(&output);
    assert!(
        warned.contains("doesn't need DATABASE_OWNER_URL"),
        "{warned}"
    );
}
