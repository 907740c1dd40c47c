//! The API's description is valid, and the API matches it, both for anonymous clients and with a token.

use std::{fs, time::Duration};

use anyhow::{Context, ensure};
use rustix::process::Signal;

use super::{ADMIN_EMAIL, ADMIN_PASSWORD, MAX_MEMORY, Shared};
use crate::{
    process::run,
    project::{command, npx, root},
    services::{Services, get, require_client_programs},
    tools::SCHEMATHESIS,
};

pub fn test(shared: &Shared, services: &mut Services) -> anyhow::Result<()> {
    require_client_programs()?;
    let database = shared.postgres.database_for_batchline("api", None)?;
    let batchline = shared
        .batchline("api", &database)
        .with([("MAX_CHANGES_PER_MINUTE", "0")]);
    batchline.migrate(&database)?;
    batchline.start_worker(services, "worker of api")?;
    batchline.start_server(services, "server of api")?;
    let api = format!("http://{}", batchline.setting("API_ADDR"));
    let description = shared.directory.file("openapi.json");
    fs::write(&description, get(&format!("{api}/openapi.json"))?)?;
    let mut validate = command("python3");
    validate.env("PYTHONPATH", SCHEMATHESIS.home());
    run(validate
        .args(["-m", "openapi_spec_validator"])
        .arg(&description))?;
    run(npx().arg("validate-api").arg(&description))?;
    schemathesis(shared, &api, None)?;

    batchline.create_admin(ADMIN_EMAIL, ADMIN_PASSWORD)?;
    let accounts = batchline.with_accounts(shared.ports.accounts);
    accounts.start_server(services, "server with accounts")?;
    let token = create_token(accounts.setting("WEB_ADDR"))?;
    let api = format!("http://{}", accounts.setting("API_ADDR"));
    schemathesis(shared, &api, Some(&token))?;
    for name in ["server with accounts", "server of api", "worker of api"] {
        services.check_peak_memory(name, MAX_MEMORY)?;
        services.end(name, Signal::TERM)?;
    }
    Ok(())
}

fn schemathesis(shared: &Shared, api: &str, token: Option<&str>) -> anyhow::Result<()> {
    let hooks = root().join("script/lib/schemathesis");
    let paths = std::env::join_paths([SCHEMATHESIS.home(), hooks.clone()])?;
    let mut test = command("python3");
    test.current_dir(shared.directory.path());
    test.env("PYTHONPATH", paths);
    test.args([
        "-c",
        "from schemathesis.cli import schemathesis; schemathesis()",
    ]);
    test.arg("--config-file")
        .arg(hooks.join("schemathesis.toml"));
    test.args([
        "run",
        &format!("{api}/openapi.json"),
        "--checks",
        "all",
        "--no-color",
    ]);
    // Python before 3.11.8 fails when two threads parse code at once (gh-106905).
    test.args(["--workers", "1"]);
    if let Some(token) = token {
        test.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    run(&mut test)
}

/// Signs in to the pages as the admin and creates an API token, as a browser without JavaScript does.
fn create_token(web: &str) -> anyhow::Result<String> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .new_agent();
    let signed_in = agent
        .post(format!("http://{web}/sign-in"))
        .header("Accept", "text/html")
        .send_form([("email", ADMIN_EMAIL), ("password", ADMIN_PASSWORD)])?;
    let cookies = signed_in.headers().get_all("set-cookie").iter();
    let cookies: Vec<&str> = cookies
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .collect();
    ensure!(!cookies.is_empty(), "signing in sets no cookie");
    let page = agent
        .post(format!("http://{web}/account/tokens"))
        .header("Accept", "text/html")
        .header("Cookie", cookies.join("; "))
        .send_form([("name", "Schemathesis"), ("scope", "write"), ("days", "7")])?
        .body_mut()
        .read_to_string()?;
    let start = page.find("bl_").context("the page shows no token")?;
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    let token = page[start..].split(|char| !is_part(char)).next();
    Ok(token.unwrap_or_default().to_owned())
}
