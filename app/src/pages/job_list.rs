//! A list of jobs, of all users or of one. Filter, search, order and page are in the URL.

mod address;
mod row;
mod tools;

use backend::{Backend, JobList, Viewer};
use domain::{JobColumn, JobStatus, UserId, format};
use leptos::prelude::*;

pub use self::address::{Address, Select};
use self::{
    row::Row,
    tools::{Search, Tabs},
};
use super::{
    REFRESH_SECONDS,
    pager::{Pager, page_number},
};
use crate::{AppError, Query, Site, islands::JobsLive};

/// Like [`REFRESH_SECONDS`], while there is a notice to read.
const NOTICE_SECONDS: &str = "20";

/// The jobs that the URL requests.
pub struct Jobs {
    address: Address,
    list: JobList,
    /// The errors of an invalid URL.
    invalid: Vec<String>,
}

impl Jobs {
    pub async fn read(
        backend: &Backend,
        viewer: &Viewer,
        owner: Option<UserId>,
        query: &Query,
    ) -> Result<Self, AppError> {
        let (page, invalid_page) = page_number(query);
        let (address, errors) = Address::read(owner, query, page);
        let request = address.request();
        let list = backend::queries::jobs(backend, viewer, request, page, JobList::SIZE).await?;
        let invalid = errors.into_iter().map(|error| error.message);
        Ok(Self {
            invalid: invalid.chain(invalid_page.map(str::to_owned)).collect(),
            address,
            list,
        })
    }

    /// Returns the number of running jobs, regardless of the search.
    pub fn running(&self) -> u64 {
        self.list.counts.of(Some(JobStatus::Processing))
    }

    pub fn list(&self) -> &JobList {
        &self.list
    }

    /// Returns the seconds after which the page reloads without JavaScript. It doesn't while the user selects jobs,
    /// because the selection would be lost. It waits longer if there is a notice to read, which is shown only once.
    pub fn refresh(&self, site: &Site) -> Option<String> {
        let seconds = match site.has_notice() {
            true => NOTICE_SECONDS,
            false => REFRESH_SECONDS,
        };
        self.is_refreshed().then(|| seconds.to_owned())
    }

    fn is_refreshed(&self) -> bool {
        let mut jobs = self.list.jobs.iter();
        self.address.select() == Select::Off
            && jobs.any(|listed| listed.job.state.status.is_active())
    }
}

#[component]
pub fn JobTable<Empty: IntoView + 'static>(
    jobs: Jobs,
    /// The noun for a job.
    noun: &'static str,
    heading: &'static str,
    /// Shown if there are no jobs at all.
    empty: Empty,
) -> impl IntoView + use<Empty> {
    let is_refreshed = jobs.is_refreshed();
    let Jobs {
        address,
        list,
        invalid,
    } = jobs;
    let JobList {
        page,
        jobs,
        total,
        counts,
    } = list;
    let pages = Address::pages(total);
    let found = format::counted(total, noun);
    let announcement = match pages {
        1 => format!("{found}."),
        pages => format!("{found}, page {page} of {}.", format::count(pages)),
    };
    let all = counts.of(None);
    let has_tools = all > 0 || address.is_narrowed();
    let tools = has_tools.then(|| {
        view! {
            <Tabs counts address=&address />
            <Search address=&address />
        }
    });
    let invalid = (!invalid.is_empty()).then(|| {
        view! {
            <p class="notice notice-bad" role="alert">
                {invalid.join(" ")}
            </p>
        }
    });
    let content = match (jobs.is_empty(), has_tools) {
        (true, false) => empty.into_any(),
        (true, true) => view! {
            <div class="empty">
                <p>{format!("No {noun} matches this filter and search.")}</p>
                <p>
                    <a href=address.path()>{format!("Show all {noun}s")}</a>
                </p>
            </div>
        }
        .into_any(),
        (false, _) => {
            let pages = address.clone();
            let can_select = !is_refreshed;
            view! {
                <Table jobs address=&address can_select />
                <Pager
                    page
                    size=JobList::SIZE
                    total
                    noun
                    href=move |page| pages.paged(page)
                />
            }
            .into_any()
        }
    };
    let tally = (all > 0).then(|| view! { <span class="tally">{format::count(all)}</span> });
    view! {
        <section class="jobs" aria-labelledby="jobs">
            <h2 id="jobs">{heading} " " <span id="tally" data-part>{tally}</span></h2>
            <div class="jobs-tools" id="jobs-tools" data-part>
                {tools}
            </div>
            <div class="jobs-page" id="jobs-page" data-part data-announce=announcement>
                {invalid}
                {content}
            </div>
            <JobsLive user_id=address.owner() />
        </section>
    }
    .into_any()
}

/// On narrow screens the style sheet turns each row into a card. Browsers may then no longer treat it as a table, hence
/// the explicit roles.
#[component]
fn Table<'a>(
    jobs: Vec<backend::ListedJob>,
    address: &'a Address,
    /// Whether jobs can be selected without JavaScript, too.
    can_select: bool,
) -> impl IntoView + use<> {
    let has_user = address.owner().is_none();
    let is_chosen = address.select() == Select::All;
    let now = chrono::Utc::now();
    let sortable = |column: JobColumn, class: &'static str, name: &'static str| {
        view! {
            <th role="columnheader" scope="col" class=class aria-sort=address.sort_of(column)>
                <a href=address.ordered_by(column)>{name}</a>
            </th>
        }
    };
    let scripted = if can_select { "" } else { "scripted" };
    let choose = (!can_select).then(|| {
        let link = format!(
            r#"<p><a href="{}">Select {}</a> (the page stops updating itself)</p>"#,
            address.selecting(Select::None).replace('&', "&amp;"),
            "jobs",
        );
        view! { <noscript inner_html=link></noscript> }
    });
    let choose_all = (can_select && !is_chosen).then(|| {
        let link = format!(
            r#"<p><a href="{}">Select all on this page</a></p>"#,
            address.selecting(Select::All).replace('&', "&amp;"),
        );
        view! { <noscript inner_html=link></noscript> }
    });
    view! {
        {choose}
        {choose_all}
        <form class="jobs-form" method="post" action="/jobs/commands" data-in-place>
            // Enter in a checkbox presses the first button of the form, which is this one and does nothing.
            <button hidden name="command" value="none"></button>
            <div class="jobs-frame">
                <table role="table" aria-labelledby="jobs" aria-keyshortcuts="j k">
                    <thead role="rowgroup">
                        <tr role="row">
                            <th role="columnheader" scope="col" class=format!("select {scripted}")>
                                <label class="scripted">
                                    <input type="checkbox" data-all />
                                    <span>"Select all on this page"</span>
                                </label>
                            </th>
                            {sortable(JobColumn::Filename, "file", "File")}
                            {has_user.then(|| sortable(JobColumn::User, "user", "User"))}
                            <th role="columnheader" scope="col" class="state">
                                "Status"
                            </th>
                            {sortable(JobColumn::Rows, "number", "Rows")}
                            {sortable(JobColumn::Invalid, "number invalid", "Invalid")}
                            {sortable(JobColumn::Created, "age", "Uploaded")}
                            <th role="columnheader" scope="col" class="act">
                                <span class="visually-hidden">"Command"</span>
                            </th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">
                        {jobs
                            .into_iter()
                            .map(|listed| view! { <Row listed has_user can_select is_chosen now /> })
                            .collect_view()}
                    </tbody>
                </table>
            </div>
            <div class=format!("bulk {scripted}") role="group" aria-label="Selected jobs">
                <span class="bulk-count"></span>
                <button class="button" name="command" value="start">
                    "Start"
                </button>
                <button class="button" name="command" value="cancel">
                    "Cancel"
                </button>
                <button class="button" name="command" value="retry">
                    "Retry"
                </button>
                <button
                    class="button button-quiet-danger"
                    name="command"
                    value="delete"
                    formmethod="get"
                    formaction="/jobs/delete"
                >
                    "Delete…"
                </button>
            </div>
        </form>
    }
    .into_any()
}
