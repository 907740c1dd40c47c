//! Reads lists of jobs with search, order and pages.
//!
//! An index alone finds a page, and only then are its jobs read. Totals are counted as jobs change, except under a
//! search.

use std::collections::HashMap;

use domain::{
    Job, JobColumn, JobFilter, JobId, JobListRequest, JobOrder, JobStatus, UserId, page_count,
};
use sqlx::{PgConnection, PgExecutor, PgPool};

use super::{numbers, query_jobs};
use crate::{Result, database};

/// A page of a list of jobs.
pub struct JobList {
    /// The page number, from 1.
    pub page: u64,
    pub jobs: Vec<ListedJob>,
    /// The number of jobs on all pages.
    pub total: u64,
    /// The number of jobs in each status under the same filter.
    pub counts: StatusCounts,
}

impl JobList {
    /// The number of jobs on a page of the website.
    pub const SIZE: u64 = 50;
}

/// A job with the name of its user.
pub struct ListedJob {
    pub job: Job,
    pub user_name: String,
}

/// The number of jobs in each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts([u64; JobStatus::ALL.len()]);

impl StatusCounts {
    /// Returns the number of jobs in this status, or in any.
    pub fn of(&self, status: Option<JobStatus>) -> u64 {
        let counts = JobStatus::ALL.iter().zip(self.0);
        counts
            .filter(|(counted, _)| status.is_none_or(|status| status == **counted))
            .map(|(_, count)| count)
            .sum()
    }

    fn new(counted: impl IntoIterator<Item = (String, i64)>) -> Self {
        let mut counts = Self::default();
        for (status, count) in counted {
            let at = JobStatus::ALL
                .iter()
                .position(|known| known.as_str() == status);
            if let Some(at) = at {
                counts.0[at] = u64::try_from(count).unwrap_or_default();
            }
        }
        counts
    }
}

/// Returns the page with this number, from 1, or the last one if there are fewer.
pub(crate) async fn list(
    pool: &PgPool,
    request: &JobListRequest,
    page: u64,
    size: u64,
) -> Result<JobList> {
    // One snapshot, so that the counts match the page.
    let mut tx = database::begin_snapshot(pool).await?;
    // The filters differ too much to share a generic plan.
    sqlx::query!("set local plan_cache_mode = force_custom_plan")
        .execute(&mut *tx)
        .await?;
    let filter = &request.filter;
    let counts = match filter.is_narrowed() {
        true => count(&mut tx, filter).await?,
        false => counted(&mut *tx, filter.owner).await?,
    };
    let total = counts.of(filter.status);
    let page = page.clamp(1, page_count(total, size));
    let ids = ids(&mut tx, request, size, (page - 1) * size).await?;
    let jobs = jobs(&mut tx, &ids).await?;
    Ok(JobList {
        page,
        jobs,
        total,
        counts,
    })
}

/// Returns the counts that the triggers of `jobs` maintain.
pub(crate) async fn counted(
    database: impl PgExecutor<'_>,
    owner: Option<UserId>,
) -> sqlx::Result<StatusCounts> {
    let counted = sqlx::query!(
        r#"select status, sum(jobs)::bigint as "jobs!" from job_counts
           where $1::bigint is null or user_id = $1 group by status"#,
        owner.map(UserId::get)
    )
    .fetch_all(database)
    .await?;
    Ok(StatusCounts::new(
        counted.into_iter().map(|row| (row.status, row.jobs)),
    ))
}

/// A query for the jobs that match a filter whatever their status, with its end and further arguments from `$5` on.
/// PostgreSQL drops the join with users unless the order needs it.
macro_rules! query_filtered {
    ($query:ident, $select:literal, $filter:expr, [$($end:literal)*] $(, $argument:expr)* $(,)?) => {
        sqlx::$query!(
            $select
                + " from jobs left join users on users.id = jobs.user_id
                   where ($1::bigint is null or user_id = $1)
                     and ($2::timestamptz is null or jobs.created_at >= $2)
                     and ($3::timestamptz is null or jobs.created_at < $3)
                     and ($4::text is null or strpos(lower(filename), lower($4)) > 0 or user_id in (
                         select found.id from users as found
                         where strpos(lower(found.name), lower($4)) > 0 or strpos(lower(found.email), lower($4)) > 0)) "
                $(+ $end)*,
            $filter.owner.map(UserId::get),
            $filter.begins(),
            $filter.ends(),
            $filter.search()
            $(, $argument)*
        )
    };
}

/// Counts the jobs that match a search or a range of days, by status.
async fn count(tx: &mut PgConnection, filter: &JobFilter) -> sqlx::Result<StatusCounts> {
    let select = query_filtered!(
        query,
        r#"select status, count(*) as "jobs!""#,
        filter,
        ["group by status"]
    );
    let counted = select.fetch_all(tx).await?;
    Ok(StatusCounts::new(
        counted.into_iter().map(|row| (row.status, row.jobs)),
    ))
}

/// Returns the ids of `size` jobs after the first `offset` ones.
async fn ids(
    tx: &mut PgConnection,
    request: &JobListRequest,
    size: u64,
    offset: u64,
) -> sqlx::Result<Vec<i64>> {
    use JobColumn::{Created, Filename, Invalid, Rows, User};
    use JobOrder::{Ascending, Descending, RunningFirst};
    let JobListRequest { filter, order } = request;
    let limit = i64::try_from(size).unwrap_or(i64::MAX);
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    macro_rules! ordered {
        ($order:literal) => {
            query_filtered!(
                query_scalar,
                "select jobs.id",
                filter,
                ["and ($5::text is null or status = $5) order by " $order " limit $6 offset $7"],
                filter.status.map(JobStatus::as_str),
                limit,
                offset
            )
            .fetch_all(tx)
            .await
        };
    }
    // Within one status either all jobs are running or none is.
    match (order, filter.status) {
        (RunningFirst, None) => ordered!("(status = 'processing') desc, jobs.id desc"),
        (RunningFirst, Some(_)) | (Descending(Created), _) => ordered!("jobs.id desc"),
        (Ascending(Created), _) => ordered!("jobs.id"),
        (Ascending(Filename), _) => ordered!("lower(filename), jobs.id desc"),
        (Descending(Filename), _) => ordered!("lower(filename) desc, jobs.id desc"),
        (Ascending(User), _) => ordered!("lower(users.name), user_id, jobs.id desc"),
        (Descending(User), _) => ordered!("lower(users.name) desc, user_id desc, jobs.id desc"),
        (Ascending(Rows), _) => ordered!("total_records, jobs.id desc"),
        (Descending(Rows), _) => ordered!("total_records desc, jobs.id desc"),
        (Ascending(Invalid), _) => {
            ordered!("invalid_records / greatest(total_records, 1)::float8, jobs.id desc")
        }
        (Descending(Invalid), _) => {
            ordered!("invalid_records / greatest(total_records, 1)::float8 desc, jobs.id desc")
        }
    }
}

/// Returns the jobs with these ids, in this order. Omits deleted ones.
async fn jobs(tx: &mut PgConnection, ids: &[i64]) -> Result<Vec<ListedJob>> {
    let jobs = query_jobs!("select", "from job_states where id = any($1)", ids)
        .fetch_all(&mut *tx)
        .await?;
    let user_ids: Vec<i64> = jobs.iter().map(|job| job.state.user_id.get()).collect();
    let users = sqlx::query!("select id, name from users where id = any($1)", &user_ids)
        .fetch_all(tx)
        .await?;
    let names: HashMap<i64, String> = users.into_iter().map(|user| (user.id, user.name)).collect();
    let mut jobs: HashMap<i64, Job> = jobs.into_iter().map(|job| (job.id.get(), job)).collect();
    Ok(ids
        .iter()
        .filter_map(|id| jobs.remove(id))
        .map(|job| ListedJob {
            user_name: names
                .get(&job.state.user_id.get())
                .cloned()
                .unwrap_or_default(),
            job,
        })
        .collect())
}

/// Returns the jobs with these ids that belong to this user, or to anybody, newest first. Omits deleted ones.
pub(crate) async fn chosen(
    pool: &PgPool,
    owner: Option<UserId>,
    job_ids: &[JobId],
) -> Result<Vec<Job>> {
    let job_ids = numbers(job_ids);
    let chosen = query_jobs!(
        "select",
        "from job_states where id = any($1) and ($2::bigint is null or user_id = $2) order by id desc",
        &job_ids,
        owner.map(UserId::get)
    );
    Ok(chosen.fetch_all(pool).await?)
}

/// Sums up the counts of the triggers. Skips those that another process is summing up.
pub(crate) async fn sum_up_counts(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "with several as (
             select user_id, status from job_counts group by user_id, status having count(*) > 1 or sum(jobs) = 0
         ), taken as (
             delete from job_counts using several
             where job_counts.user_id = several.user_id and job_counts.status = several.status
             returning job_counts.user_id, job_counts.status, jobs
         )
         insert into job_counts (user_id, status, jobs)
         select user_id, status, sum(jobs)::bigint from taken group by user_id, status having sum(jobs) <> 0"
    )
    .execute(pool)
    .await?;
    Ok(())
}
