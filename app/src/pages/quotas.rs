//! A user's quotas: their usage, for the user and for admins, and the form in which admins change them.

use domain::{Quota, QuotaChange, Quotas, Retention, UserId, exact_bytes, format};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{AppError, Query, api::SetQuotas, components::FormError};

/// Warns about quotas that are reached or nearly reached.
#[component]
pub fn QuotaWarnings(quotas: Quotas) -> impl IntoView {
    let warnings = quotas.warnings();
    let notice = |sentence: String| view! { <p class="notice">{sentence}</p> }.into_any();
    warnings.into_iter().map(notice).collect_view()
}

/// The usage of the quotas, and how long jobs are kept.
#[component]
pub fn Usage(quotas: Quotas) -> impl IntoView {
    let Quotas {
        jobs,
        bytes,
        active_jobs,
        retention,
    } = quotas;
    let kept = match retention.days {
        Some(days) => format!("Deleted {} after they end", format::counted(days, "day")),
        None => "Kept until somebody deletes them".to_owned(),
    };
    view! {
        <dl class="details">
            {used("Jobs", jobs, format::count)}
            {used("Stored files", bytes, format::bytes)}
            {used("Running now", active_jobs, format::count)}
            <div>
                <dt>"Finished jobs"</dt>
                <dd>{kept}</dd>
            </div>
        </dl>
    }
    .into_any()
}

fn used(what: &'static str, quota: Quota, text: fn(u64) -> String) -> impl IntoView {
    let used = text(quota.used);
    let used = match quota.limit {
        Some(limit) => format!(
            "{used} of {} ({})",
            text(limit),
            format::share(quota.used.min(limit), limit)
        ),
        None => format!("{used}, no limit"),
    };
    view! {
        <div>
            <dt>{what}</dt>
            <dd>{used}</dd>
        </div>
    }
}

/// The quotas of a user on their page, for admins.
#[component]
pub fn QuotaSettings<'a>(
    user_id: UserId,
    quotas: Quotas,
    query: &'a Query,
) -> impl IntoView + use<> {
    let error = query.posted::<SetQuotas>();
    let [jobs, bytes, active_jobs, days] = QuotaChange::FIELDS;
    let number = |own: Option<u64>| own.map(|own| own.to_string());
    let Retention { own, .. } = quotas.retention;
    let fields = [
        ("Jobs", jobs, number(quotas.jobs.own)),
        (
            "Stored files (such as 10 GB)",
            bytes,
            quotas.bytes.own.map(exact_bytes),
        ),
        (
            "Jobs running at the same time",
            active_jobs,
            number(quotas.active_jobs.own),
        ),
        ("Days until finished jobs are deleted", days, number(own)),
    ];
    let fields = fields.map(|(label, name, own)| field(label, name, own, error.as_ref()));
    view! {
        <section class="panel" aria-labelledby="quotas">
            <h2 id="quotas">"Quotas"</h2>
            <div id="usage" data-part>
                <Usage quotas />
            </div>
            <details class="disclosure" open=error.is_some()>
                <summary>"Change quotas"</summary>
                <form method="post" action=SetQuotas::PATH>
                    <FormError error=error.clone() />
                    <input type="hidden" name="user_id" value=user_id.to_string() />
                    {fields}
                    <p class="hint">"Empty: the default for all users. 0: no limit."</p>
                    <button class="button button-primary" data-under-way="Saving…">
                        "Save quotas"
                    </button>
                </form>
            </details>
        </section>
    }
    .into_any()
}

/// Empty if the default applies.
fn field(
    label: &'static str,
    name: &'static str,
    own: Option<String>,
    error: Option<&AppError>,
) -> AnyView {
    let (id, error_id) = (format!("quota-{name}"), format!("quota-{name}-error"));
    let sentence = error.and_then(|error| error.field(name));
    let typed = error.and_then(|error| error.typed(name));
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <input
                id=id
                name=name
                value=typed.or(own)
                maxlength="20"
                autocomplete="off"
                autofocus=sentence.is_some()
                aria-invalid=sentence.is_some().then_some("true")
                aria-describedby=sentence.is_some().then(|| error_id.clone())
            />
            <p class="field-error" id=error_id>
                {sentence}
            </p>
        </div>
    }
    .into_any()
}
