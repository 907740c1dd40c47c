-- Creates the role batchline, which the server and the worker use. It has no superuser rights, and owns the database
-- and everything in it. What is already in place stays unchanged, so this can run at any time.
--
--   DATABASE_PASSWORD=… psql --single-transaction --set=ON_ERROR_STOP=1 --dbname=… --file=application_role.sql

\getenv password DATABASE_PASSWORD

select 'create role batchline'
where not exists (select from pg_roles where rolname = 'batchline')
\gexec

alter role batchline with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
\if :{?password}
alter role batchline with password :'password';
\endif

-- Earlier versions used the superuser for everything. The role becomes the owner of what they created.

select format('alter database %I owner to batchline', datname)
from pg_database
where datname = current_database() and pg_get_userbyid(datdba) <> 'batchline'
\gexec

-- The sequence of a column follows its table.
select format('alter %s %s owner to batchline',
              case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                           when 'c' then 'type' else 'table' end,
              oid::regclass)
from pg_class as class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S', 'c')
  and pg_get_userbyid(relowner) <> 'batchline'
  and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = class.oid
                    and (deptype = 'e' or relkind = 'S' and deptype in ('a', 'i')))
\gexec

select format('alter type %s owner to batchline', oid::regtype)
from pg_type as type
where typnamespace = 'public'::regnamespace and typtype in ('d', 'e', 'r')
  and pg_get_userbyid(typowner) <> 'batchline'
  and not exists (select from pg_depend where classid = 'pg_type'::regclass and objid = type.oid and deptype = 'e')
\gexec

select format('alter routine %s owner to batchline', oid::regprocedure)
from pg_proc as routine
where pronamespace = 'public'::regnamespace and pg_get_userbyid(proowner) <> 'batchline'
  -- except routines of an extension or a range type
  and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = routine.oid
                    and deptype in ('e', 'i'))
\gexec
