-- The stored bytes of a user include the texts of archives and workbooks, which are objects beside the uploaded files:
-- stored_bytes is the sum of `jobs.bytes` and `jobs.content_bytes`.

-- This locks the table until the migration is committed, so that the sum below is exact.
create trigger count_content_bytes after update of content_bytes on jobs for each row
    when (old.content_bytes is distinct from new.content_bytes) execute function count_bytes();

create or replace function count_bytes() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into stored_bytes (user_id, bytes) values (new.user_id, new.bytes + coalesce(new.content_bytes, 0));
    elsif tg_op = 'UPDATE' then
        insert into stored_bytes (user_id, bytes)
        values (new.user_id, coalesce(new.content_bytes, 0) - coalesce(old.content_bytes, 0));
    else
        insert into stored_bytes (user_id, bytes) values (old.user_id, -old.bytes - coalesce(old.content_bytes, 0));
    end if;
    return null;
end $$;

insert into stored_bytes (user_id, bytes)
select user_id, sum(content_bytes)::bigint from jobs where content_bytes is not null group by user_id;
