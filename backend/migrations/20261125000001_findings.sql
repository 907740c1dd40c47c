-- What a chunk's rows amount to, so that what is said of a whole job is a sum over its chunks.
alter table job_chunks
    -- {error code: rows with such an error}
    add column problems jsonb not null default '{}',
    -- of the valid rows
    add column valid_amount numeric not null default 0,
    add column first_date date,
    add column last_date date;

-- The chunks that were committed before.
update job_chunks set problems = found.problems
from (
    select result_id, number, jsonb_object_agg(code, rows) as problems
    from (
        select chunk.result_id, chunk.number, error ->> 'code' as code, count(*) as rows
        from job_chunks chunk
        join transactions on transactions.result_id = chunk.result_id
            and row_number >= chunk.first_row and row_number < chunk.first_row + chunk.rows
            and not is_valid
        cross join jsonb_array_elements(errors) as error
        group by 1, 2, 3
    ) as counted
    group by 1, 2
) as found
where job_chunks.result_id = found.result_id and job_chunks.number = found.number;

update job_chunks set valid_amount = found.amount, first_date = found.first, last_date = found.last
from (
    select chunk.result_id, chunk.number, sum(amount) as amount, min(date) as first, max(date) as last
    from job_chunks chunk
    join transactions on transactions.result_id = chunk.result_id
        and row_number >= chunk.first_row and row_number < chunk.first_row + chunk.rows
        and is_valid
    group by 1, 2
) as found
where job_chunks.result_id = found.result_id and job_chunks.number = found.number;
