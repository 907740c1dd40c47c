-- How a chunk's valid rows are spread over sizes of amounts and over months (validator, spread.rs): {"sizes": [rows, …],
-- "months": {"2024-01": rows, …}}, with null for too many months. Null where a version before has validated the chunk.
alter table job_chunks
    add column spread jsonb;
