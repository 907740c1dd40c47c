alter table jobs
    -- chosen by the sender, so that an upload that is sent again doesn't create a second job
    add column upload_key text;

create unique index jobs_upload_key_idx on jobs (user_id, upload_key) where upload_key is not null;
