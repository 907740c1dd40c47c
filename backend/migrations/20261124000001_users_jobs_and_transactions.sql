create table users (
    id bigint generated always as identity primary key,
    name text not null,
    email text not null,
    created_at timestamptz not null default now()
);

-- Addresses that differ only in case reach the same person.
create unique index users_email_key on users (lower(email));

-- A result is what one pass over a file gives: its chunks and its rows. A retry gets a new one, so that
-- readers see the old rows or the new ones, never a mixture, however many there are to be removed.
create sequence result_ids as bigint;

create table jobs (
    id bigint generated always as identity primary key,
    user_id bigint not null references users (id),
    filename text not null,
    bytes bigint not null,
    -- lower-case hexadecimal
    sha256 text not null,
    -- where the file lies below STORAGE_URL
    storage_key text not null,
    status text not null default 'pending'
        check (status in ('pending', 'processing', 'completed', 'failed', 'paused', 'cancelled')),
    -- whose chunks and rows are shown; null until the first start
    result_id bigint unique,
    -- how the file is to be read (delimiter, encoding, columns); known once it was planned
    layout jsonb,
    total_records bigint not null default 0,
    processed_records bigint not null default 0,
    valid_records bigint not null default 0,
    invalid_records bigint not null default 0,
    suspicious_records bigint not null default 0,
    batch_completed integer not null default 0,
    total_batches integer not null default 0,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    paused_at timestamptz,
    -- seconds between start and finish in which the job was paused
    paused_seconds double precision not null default 0,
    error text,
    -- grows with each start, pause, resume, cancel and retry; work for an older run can't commit
    run integer not null default 0,
    -- grows with every change, and tells readers which of two states is newer
    version bigint not null default 1,
    updated_at timestamptz not null default clock_timestamp(),
    check (processed_records = valid_records + invalid_records),
    check (processed_records <= total_records)
);

create index jobs_user_id_idx on jobs (user_id, id desc);

-- The ledger that makes at-least-once activities exactly-once: a chunk's rows, its `committed_at` and
-- the job's counts are written in one transaction.
create table job_chunks (
    result_id bigint not null,
    number integer not null,
    byte_start bigint not null,
    byte_end bigint not null,
    first_row bigint not null,
    rows bigint not null,
    -- rows whose id stands in an earlier row: row number less first_row, as little-endian u32
    duplicates bytea not null,
    valid_records bigint not null default 0,
    invalid_records bigint not null default 0,
    suspicious_records bigint not null default 0,
    committed_at timestamptz,
    primary key (result_id, number)
);

-- No key and no foreign key: that each row is there once is the ledger's doing, and checking it again for
-- every row would take longer than all the rest of the load.
create table transactions (
    result_id bigint not null,
    row_number bigint not null,
    transaction_id text,
    amount numeric,
    date date,
    description text,
    is_valid boolean not null,
    is_suspicious boolean not null,
    -- [{"field", "code", "message"}] in the order of the rules; null for a valid row
    errors jsonb
);

-- Where the rows of a result lie. A chunk's rows are written one after the other, so it is enough to know
-- for each 32 pages which they hold: the index has a few bytes where a B-tree has a hundred kilobytes.
-- Several chunks are written at a time and may share such a range, hence the "multi".
create index transactions_place_idx on transactions
    using brin (result_id, row_number int8_minmax_multi_ops) with (pages_per_range = 32);
-- For each 32 pages a Bloom filter of the transaction ids in them: finds one among ten million rows in
-- milliseconds, at a hundredth of a B-tree's cost.
create index transactions_id_idx on transactions
    using brin (transaction_id text_bloom_ops(n_distinct_per_range = 3000, false_positive_rate = 0.001))
    with (pages_per_range = 32);
create index transactions_invalid_idx on transactions (result_id, row_number) where not is_valid;
create index transactions_suspicious_idx on transactions (result_id, row_number) where is_suspicious;

-- What nobody can see any more and what is still to be removed: the file of a deleted job or of an upload
-- that broke off, and the chunks and rows of a result. Written in the transaction that makes them
-- invisible, removed at leisure, by whoever comes first.
create table removals (
    id bigint generated always as identity primary key,
    storage_key text unique,
    result_id bigint,
    -- an upload under way keeps moving it into the future
    due_at timestamptz not null default now()
);
