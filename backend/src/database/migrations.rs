//! The migrations, and what the role of server and worker may do.
//!
//! Either one role owns the database, and every program runs the migrations when it starts. Or there are two: an owner, as
//! which `server migrate` runs them, and the role of `DATABASE_URL`, to which it then grants what server and worker need.

use std::env;

use anyhow::{Context, ensure};
use sqlx::{
    Connection, PgConnection,
    migrate::{Migrate, MigrateError, Migrator},
};

use super::audit_retention;

static MIGRATOR: Migrator = sqlx::migrate!();

/// What server and worker may do with a table.
const TABLE: &str = "select, insert, update, delete";

/// The tables with which they may do less, and what.
const RESTRICTED: [(&str, &str); 3] = [
    // PostgreSQL sets `id` and `at`, so nobody adds events to the past.
    (
        "audit_events",
        "select, insert (kind, outcome, actor_id, actor, means, means_id, address, user_id, job_id, run, detail)",
    ),
    ("audit_retention", "select"),
    ("_sqlx_migrations", "select"),
];

const FAILED: &str = "the database can't be brought up to date";

/// Runs the migrations if the role owns the database, and sets the age from which audit events can be deleted. Otherwise,
/// fails unless the owner has run exactly those of this version.
pub(super) async fn run_or_check(
    connection: &mut PgConnection,
    audit_days: Option<u64>,
) -> anyhow::Result<()> {
    let may_migrate = sqlx::query_scalar!(
        r#"select coalesce(
               (select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass('_sqlx_migrations')),
               has_schema_privilege(current_schema(), 'create'),
               false
           ) as "may_migrate!""#
    )
    .fetch_one(&mut *connection)
    .await?;
    match may_migrate {
        true => run(connection, audit_days).await?,
        false => check(connection).await?,
    }
    if env::var_os(super::OWNER_URL).is_some() {
        tracing::warn!(
            "this program doesn't need DATABASE_OWNER_URL: keep it from whoever may take this program over"
        );
    }
    // Who owns the schema can drop its tables.
    let owns_audit = sqlx::query_scalar!(
        r#"select pg_has_role(relowner, 'member') or pg_has_role(nspowner, 'member') as "owns_audit!"
           from pg_class join pg_namespace on pg_namespace.oid = relnamespace
           where pg_class.oid = 'audit_events'::regclass"#
    )
    .fetch_one(connection)
    .await?;
    if owns_audit {
        tracing::warn!(
            "the database role of DATABASE_URL owns the audit and could change it; see \"Database roles\" in \
             docs/OPERATIONS.md"
        );
    }
    Ok(())
}

async fn run(owner: &mut PgConnection, audit_days: Option<u64>) -> anyhow::Result<()> {
    MIGRATOR.run(&mut *owner).await.context(FAILED)?;
    if let Some(days) = audit_days {
        audit_retention::set(owner, days).await.context(FAILED)?;
    }
    Ok(())
}

async fn check(connection: &mut PgConnection) -> anyhow::Result<()> {
    const OUTDATED: &str = "the database isn't up to date, and the role of DATABASE_URL doesn't own it: run `server migrate` \
                            of this version first";
    // The role may not read this table before the first time.
    let applied = connection.list_applied_migrations().await;
    let applied = applied.context(OUTDATED)?;
    for migration in MIGRATOR.iter() {
        let same = applied.iter().find(|it| it.version == migration.version);
        let checksum = &same.context(OUTDATED)?.checksum;
        if *checksum != migration.checksum {
            return Err(MigrateError::VersionMismatch(migration.version)).context(FAILED);
        }
    }
    let newer = applied
        .iter()
        .find(|it| !MIGRATOR.version_exists(it.version));
    match newer {
        Some(newer) => Err(MigrateError::VersionMissing(newer.version)).context(FAILED),
        None => Ok(()),
    }
}

/// Runs the migrations as the owner and grants rights to the role with the name `application`. Fails before it has changed
/// anything if that role has rights of an owner.
pub(super) async fn run_as_owner(
    owner: &mut PgConnection,
    application: &str,
    audit_days: Option<u64>,
) -> anyhow::Result<()> {
    let owned = sqlx::query_scalar!(
        r#"select what as "what!"
           from (
               select 'what ' || current_user || ' owns' as what, oid as owner
               from pg_roles where rolname = current_user
               union all
               select 'the database', datdba from pg_database where datname = current_database()
               union all
               select 'the schema ' || nspname, nspowner from pg_namespace where oid = current_schema()::regnamespace
               union all
               select relname, relowner from pg_class
               where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
               union all
               select proname, proowner from pg_proc where pronamespace = current_schema()::regnamespace
           ) as object
           where pg_has_role($1::text::name, owner, 'member')
           limit 1"#,
        application
    )
    .fetch_optional(&mut *owner)
    .await
    .context("the role of DATABASE_URL can't be granted anything")?;
    ensure!(
        owned.is_none(),
        "the role {application} of DATABASE_URL owns {}: it must be another role than that of DATABASE_OWNER_URL, and own \
         nothing; see \"Database roles\" in docs/OPERATIONS.md",
        owned.unwrap_or_default()
    );
    run(owner, audit_days).await?;
    grant(owner, application).await.with_context(|| {
        format!("the role {application} of DATABASE_URL can't be granted what it needs")
    })
}

/// Grants the role what server and worker need, and revokes everything else.
async fn grant(owner: &mut PgConnection, application: &str) -> sqlx::Result<()> {
    let mut tx = owner.begin().await?;
    // Concurrent changes of the rights to a table fail.
    sqlx::query!("select pg_advisory_xact_lock(hashtext('rights of the application')) as locked")
        .fetch_one(&mut *tx)
        .await?;
    let (tables, rights): (Vec<&str>, Vec<&str>) = RESTRICTED.into_iter().unzip();
    let changes = sqlx::query_scalar!(
        r#"with relation as (
               select case relkind when 'S' then 'sequence ' else 'table ' end || class.oid::regclass as name,
                      case
                          when restricted.rights is not null then restricted.rights
                          when relkind = 'S' then 'usage'
                          when relkind in ('v', 'm') then 'select'
                          else $4
                      end as rights
               from pg_class as class
               left join unnest($2::text[], $3::text[]) as restricted (name, rights) on restricted.name = relname
               where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
                 and pg_has_role(relowner, 'usage')
                 -- Identity columns have sequences that need no rights.
                 and not exists (select from pg_depend
                                 where classid = 'pg_class'::regclass and objid = class.oid and deptype = 'i')
           ), object as (
               select format('database %I', current_database()) as name, 'connect' as rights, 'temporary' as of_everybody
               union all
               select format('schema %I', current_schema()), 'usage', 'create'
               union all
               select name, rights, null from relation
               union all
               -- Functions with the rights of the owner are there for server and worker.
               select format('function %s', oid::regprocedure), 'execute', 'all' from pg_proc
               where pronamespace = current_schema()::regnamespace and prosecdef and pg_has_role(proowner, 'usage')
           )
           select concat(
               format('revoke all on %s from %I; ', name, $1::text),
               'revoke ' || of_everybody || ' on ' || name || ' from public; ',
               format('grant %s on %s to %I', rights, name, $1::text)
           ) as "change!"
           from object"#,
        application,
        &tables as &[&str],
        &rights as &[&str],
        TABLE
    )
    .fetch_all(&mut *tx)
    .await?;
    for change in changes {
        sqlx::raw_sql(&change).execute(&mut *tx).await?;
    }
    tx.commit().await
}
