-- When the user last proved who they are in this session, by signing in or by confirming it. Null if that isn't known, as
-- of sessions that began with an earlier version.
alter table sessions add column authenticated_at timestamptz;
