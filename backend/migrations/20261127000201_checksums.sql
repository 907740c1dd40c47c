-- What the bytes of a stored file must be (backend, storage/checksums.rs); null where a version before has stored it. Up to
-- 64 kB, which nothing makes smaller.
alter table jobs
    add column checksums bytea,
    add column content_checksums bytea;
alter table jobs
    alter column checksums set storage external,
    alter column content_checksums set storage external;
