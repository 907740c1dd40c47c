-- Who may sign in. With AUTH=open nothing of this is used but the audit.
alter table users
    add column role text not null default 'member' check (role in ('admin', 'member')),
    -- Argon2id, as a PHC string; null for a user who has no password yet
    add column password_hash text;

-- The secret itself is in the browser's cookie alone: who reads this table can't use what is in it.
create table sessions (
    id bigint generated always as identity primary key,
    -- SHA-256 of the secret
    secret_hash bytea not null unique,
    user_id bigint not null references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    -- a minute behind at most
    last_used_at timestamptz not null default now(),
    expires_at timestamptz not null,
    user_agent text,
    address text
);
create index sessions_user_id_idx on sessions (user_id);

create table api_tokens (
    id bigint generated always as identity primary key,
    secret_hash bytea not null unique,
    -- the first characters of the token, by which its owner knows it
    prefix text not null,
    user_id bigint not null references users (id) on delete cascade,
    name text not null,
    scope text not null check (scope in ('read', 'write')),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    last_used_at timestamptz,
    -- when a use was last written to the audit
    last_audited_at timestamptz,
    revoked_at timestamptz
);
create index api_tokens_user_id_idx on api_tokens (user_id);

-- Links that set a password, once. A user has at most one.
create table password_links (
    user_id bigint primary key references users (id) on delete cascade,
    secret_hash bytea not null unique,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- Who did what. It outlives users and jobs, so their ids refer to nothing.
create table audit_events (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    kind text not null,
    outcome text not null check (outcome in ('done', 'refused')),
    -- null where nobody was signed in
    actor_id bigint,
    -- the actor's email address at the time, or 'anyone', or 'command line'
    actor text not null,
    means text not null check (means in ('none', 'session', 'token', 'command')),
    -- of the session or token
    means_id bigint,
    address text,
    -- whom it concerns
    user_id bigint,
    job_id bigint,
    detail text
);
create index audit_events_actor_idx on audit_events (actor_id, id desc) where actor_id is not null;
create index audit_events_user_idx on audit_events (user_id, id desc) where user_id is not null;
create index audit_events_kind_idx on audit_events (kind, id desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit_events can only be added to';
end
$$;
create trigger audit_events_append_only before update or delete or truncate on audit_events
    for each statement execute function refuse_change();

-- Tells every server that a user's sessions or tokens may have ended, so that open sockets are looked at again.
create function notify_access_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('access_changed', old.user_id::text);
    return null;
end
$$;
create trigger sessions_ended after delete on sessions
    for each row execute function notify_access_changed();
create trigger api_tokens_ended after delete on api_tokens
    for each row execute function notify_access_changed();
create trigger api_tokens_revoked after update of revoked_at on api_tokens
    for each row execute function notify_access_changed();

create function notify_role_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('access_changed', old.id::text);
    return null;
end
$$;
create trigger users_role_changed after update of role on users
    for each row when (old.role <> new.role) execute function notify_role_changed();
