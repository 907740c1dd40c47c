-- Who a user is to an OpenID Connect provider. A subject is unique within its issuer only, and is never given to
-- somebody else (OpenID Connect Core 1.0, 2), as an email address may be.
alter table users
    add column openid_issuer text,
    add column openid_subject text,
    add constraint users_openid_check check ((openid_issuer is null) = (openid_subject is null)),
    add constraint users_openid_key unique (openid_issuer, openid_subject);
