-- From which age on events of the audit can be deleted. The owner decides, by AUDIT_RETENTION_DAYS of `server migrate`;
-- server and worker can only read it.
create table audit_retention (
    is_only boolean primary key default true check (is_only),
    -- null if no event can be deleted
    least_days integer check (least_days >= 30)
);

-- As before where events may already be deleted. In a new database none can be until the owner says so.
insert into audit_retention (least_days) select case when exists (select from audit_events) then 30 end;

create or replace function delete_audit_events(days integer, at_most bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    kept integer;
    deleted bigint;
begin
    if days is null or days < 30 then
        raise exception 'audit_events can only be added to: those of the last 30 days can''t be deleted';
    end if;
    select least_days into kept from public.audit_retention;
    if kept is null or days < kept then
        raise exception 'audit_events can only be added to: the owner of the database keeps them for longer';
    end if;
    -- Ordered by id, for which there is an index. Ids follow the times closely enough.
    delete from public.audit_events where id in (
        select id from (select id, at from public.audit_events order by id limit at_most) as oldest
        where at < now() - make_interval(days => days)
    );
    get diagnostics deleted = row_count;
    return deleted;
end
$$;
