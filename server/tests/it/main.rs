//! Tests over HTTP and WebSocket against the built `server` and `worker`, a real PostgreSQL, a real Temporal and an S3
//! server. `script/test` starts the last three and passes their addresses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod accounts;
mod ageing;
mod api;
mod audit;
mod backup;
mod clock;
mod control;
mod cut_connections;
mod degrading;
mod files;
mod formats;
mod forms;
mod harness;
mod headers;
mod history;
mod inputs;
mod job_lists;
mod jobs;
mod ledger;
mod limits;
mod memory;
mod monitoring;
mod object_storage;
mod openid;
mod pages;
mod people;
mod progress;
mod quotas;
mod refused_uploads;
mod release_archive;
mod results;
mod retention;
mod rows;
mod saved_formats;
mod search;
mod shutdown;
mod small_jobs;
mod stored_files;
mod strangers;
mod traces;
mod upgrade;
mod users;
mod versions;
