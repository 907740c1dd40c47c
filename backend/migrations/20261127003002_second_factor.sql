-- The second factor of users who sign in with a password: one-time codes of an app (RFC 6238).
create table second_factors (
    user_id bigint primary key references users (id) on delete cascade,
    -- The key of the codes, which the server needs to check them. Null until the first code was entered.
    key bytea,
    -- a key that is shown, but whose first code wasn't entered yet
    new_key bytea,
    -- the time step of the last accepted code, because each is accepted once
    last_step bigint,
    -- the number of wrong codes since the last right one
    wrong_codes integer not null default 0,
    check (key is not null or new_key is not null)
);

-- Each replaces one code. It is deleted when it is used.
create table recovery_codes (
    -- SHA-256
    code_hash bytea primary key,
    user_id bigint not null references second_factors (user_id) on delete cascade
);
create index recovery_codes_user_id_idx on recovery_codes (user_id);

-- Sign-ins whose password was right, and whose code is still missing.
create table half_sessions (
    -- SHA-256 of the secret in the browser's cookie
    secret_hash bytea primary key,
    user_id bigint not null references users (id) on delete cascade,
    expires_at timestamptz not null,
    -- the number of codes that were tried
    attempts integer not null default 0
);
create index half_sessions_user_id_idx on half_sessions (user_id);
