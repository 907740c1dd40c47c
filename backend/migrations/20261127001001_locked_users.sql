-- A locked user can't sign in. Locking ends their sessions and revokes their tokens.
alter table users add column locked_at timestamptz;
