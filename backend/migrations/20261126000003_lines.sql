alter table job_chunks
    -- the line of the stored file on which the chunk's first row begins, counted from 1; null where an earlier version
    -- has planned the chunk
    add column first_line bigint;
