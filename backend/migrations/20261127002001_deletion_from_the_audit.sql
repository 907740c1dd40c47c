-- Where the role of server and worker may only read events and add some, this is how retention deletes old ones: with the
-- rights of the owner, for whoever may execute it.
create function delete_audit_events(days integer, at_most bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    deleted bigint;
begin
    if days is null or days < 30 then
        raise exception 'audit_events can only be added to: those of the last 30 days can''t be deleted';
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
revoke all on function delete_audit_events(integer, bigint) from public;
