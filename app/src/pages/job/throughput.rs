use domain::{Throughput, format};
use leptos::prelude::*;

/// Throughput over time, for operators. Empty until there are two parts.
#[component]
pub fn Pace(throughput: Throughput) -> impl IntoView {
    let Throughput {
        part_seconds,
        rows_per_second: rates,
    } = throughput;
    // Up to the last part in which a row was checked.
    let end = rates.iter().rposition(|rate| *rate > 0.0);
    let rates = &rates[..end.map_or(0, |last| last + 1)];
    let parts: Vec<Part> = rates
        .iter()
        .enumerate()
        .map(|(at, rate)| Part {
            from: part_seconds * at as f64,
            until: part_seconds * (at + 1) as f64,
            rate: *rate,
        })
        .collect();
    (parts.len() > 1).then(|| {
        view! {
            <details class="disclosure">
                <summary>"Rows per second"</summary>
                {chart(&parts)}
                <details class="disclosure">
                    <summary>"As a table"</summary>
                    {table(&parts)}
                </details>
            </details>
        }
    })
}

/// One of the equally long parts of the time since the start, in seconds.
struct Part {
    from: f64,
    until: f64,
    /// Rows per second.
    rate: f64,
}

impl Part {
    fn time(&self) -> String {
        let length = self.until - self.from;
        if length >= 1.0 {
            let (from, until) = (format::seconds(self.from), format::seconds(self.until));
            return format!("{from} – {until}");
        }
        // As many decimals as tell two parts apart.
        let decimals = -length.max(0.001).log10().floor() as usize;
        format!(
            "{:.decimals$} – {:.decimals$}\u{a0}s",
            self.from, self.until
        )
    }

    fn rows(&self) -> String {
        whole(self.rate)
    }
}

fn whole(rate: f64) -> String {
    format::count(rate.round() as u64)
}

/// A bar for each part, and its values on hover.
fn chart(parts: &[Part]) -> AnyView {
    let peak = parts.iter().map(|part| part.rate).fold(0.0, f64::max);
    let lowest = parts.iter().map(|part| part.rate).fold(peak, f64::min);
    let seconds = parts.last().map_or(0.0, |part| part.until);
    let top = ceiling(peak);
    let description = format!(
        "Between {} and {} rows per second in the course of {}.",
        whole(lowest),
        whole(peak),
        format::seconds(seconds)
    );
    let bar = |(at, part): (usize, &Part)| {
        let height = part.rate / top * 100.0;
        view! {
            <g>
                <title>{format!("{}: {} rows/s", part.time(), part.rows())}</title>
                // As high as the chart, so that low bars are easy to point at.
                <rect class="chart-part" x=at width="1" height="100" />
                <rect
                    x=format!("{:.2}", at as f64 + 0.08)
                    y=format!("{:.1}", 100.0 - height)
                    width="0.84"
                    height=format!("{height:.1}")
                />
            </g>
        }
    };
    let bars = parts.iter().enumerate().map(bar).collect_view();
    view! {
        <figure class="chart">
            <div class="chart-axis">
                <span>{whole(top)}</span>
                <span>{whole(top / 2.0)}</span>
                <span>"0"</span>
            </div>
            <svg
                viewBox=format!("0 0 {} 100", parts.len())
                preserveAspectRatio="none"
                role="img"
                aria-label=description
            >
                <path class="chart-line" d=format!("M0 50H{}", parts.len()) />
                {bars}
            </svg>
            <figcaption>
                <span>"0"</span>
                <span>{format::seconds(seconds / 2.0)}</span>
                <span>{format::seconds(seconds)}</span>
            </figcaption>
        </figure>
    }
    .into_any()
}

/// The values of the chart, for keyboards and screen readers.
fn table(parts: &[Part]) -> AnyView {
    let rows = parts.iter().map(|part| {
        view! {
            <tr>
                <th scope="row">{part.time()}</th>
                <td class="number">{part.rows()}</td>
            </tr>
        }
    });
    view! {
        <table class="values" aria-label="Rows per second">
            <thead>
                <tr>
                    <th scope="col">"Time since the start"</th>
                    <th scope="col" class="number">
                        "Rows per second"
                    </th>
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
    }
    .into_any()
}

/// Returns the smallest of 1, 2, 5, 10, 20, 50, … that is at least `number`.
fn ceiling(number: f64) -> f64 {
    let power = 10_f64.powf(number.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    let enough = steps.into_iter().find(|step| *step >= number);
    enough.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::{Part, ceiling};

    #[test]
    fn each_part_has_a_time_of_its_own() {
        for part_seconds in [0.004, 0.02, 0.1, 0.32, 0.9, 1.0, 2.5, 72.0] {
            let time = |at: u32| {
                let (from, until) = (
                    f64::from(at) * part_seconds,
                    f64::from(at + 1) * part_seconds,
                );
                Part {
                    from,
                    until,
                    rate: 0.0,
                }
                .time()
            };
            for at in 0..49 {
                assert_ne!(time(at), time(at + 1), "{part_seconds}");
            }
        }
    }

    #[test]
    fn the_axis_ends_at_a_round_number() {
        for (peak, expect) in [
            (0.0, 1.0),
            (0.3, 1.0),
            (1.0, 1.0),
            (3.0, 5.0),
            (5001.0, 10_000.0),
            (123_456.7, 200_000.0),
        ] {
            assert_eq!(ceiling(peak), expect, "{peak}");
        }
    }
}
