-- Creates the roles batchline_owner, which owns the database and everything in it, and batchline, which server and worker
-- use. `server migrate` then creates the tables as the former, and grants rights to the latter. Neither has superuser
-- rights. What is already in place stays unchanged, so this can run at any time.
--
--   DATABASE_OWNER_PASSWORD=… DATABASE_PASSWORD=… \
--     psql --single-transaction --set=ON_ERROR_STOP=1 --dbname=… --file=database_roles.sql

\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv password DATABASE_PASSWORD

select format('create role %I', name)
from unnest(array['batchline_owner', 'batchline']) as name
where not exists (select from pg_roles where rolname = name)
\gexec

alter role batchline_owner with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
alter role batchline with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
\if :{?owner_password}
alter role batchline_owner with password :'owner_password';
\endif
\if :{?password}
alter role batchline with password :'password';
\endif

-- Earlier versions used the superuser, and then batchline, for everything. The owner takes over what they created. With
-- the ownership, batchline loses all its rights, until `server migrate` has granted some.

select format('alter database %I owner to batchline_owner', datname)
from pg_database
where datname = current_database() and pg_get_userbyid(datdba) <> 'batchline_owner'
\gexec

-- A database that was created by PostgreSQL 14 has another owner of this schema, and everybody may create tables in it.
select 'alter schema public owner to pg_database_owner'
from pg_namespace
where nspname = 'public' and pg_get_userbyid(nspowner) <> 'pg_database_owner'
\gexec

-- The sequence of a column follows its table.
select format('alter %s %s owner to batchline_owner',
              case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                           when 'c' then 'type' else 'table' end,
              oid::regclass)
from pg_class as class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S', 'c')
  and pg_get_userbyid(relowner) <> 'batchline_owner'
  and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = class.oid
                    and (deptype = 'e' or relkind = 'S' and deptype in ('a', 'i')))
\gexec

select format('alter type %s owner to batchline_owner', oid::regtype)
from pg_type as type
where typnamespace = 'public'::regnamespace and typtype in ('d', 'e', 'r')
  and pg_get_userbyid(typowner) <> 'batchline_owner'
  and not exists (select from pg_depend where classid = 'pg_type'::regclass and objid = type.oid and deptype = 'e')
\gexec

select format('alter routine %s owner to batchline_owner', oid::regprocedure)
from pg_proc as routine
where pronamespace = 'public'::regnamespace and pg_get_userbyid(proowner) <> 'batchline_owner'
  -- except routines of an extension or a range type
  and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = routine.oid
                    and deptype in ('e', 'i'))
\gexec
