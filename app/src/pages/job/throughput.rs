use domain::{Throughput, format};
use leptos::prelude::*;

use super::chart::{Bar, chart, table, whole};

/// Throughput over time, for operators. Empty until there are two intervals.
#[component]
pub fn Pace(throughput: Throughput) -> impl IntoView {
    let Throughput {
        part_seconds,
        rows_per_second: rates,
    } = throughput;
    // Ends with the last interval in which a row was checked.
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
        let bars: Vec<Bar> = parts.iter().map(Part::bar).collect();
        view! {
            <details class="disclosure">
                <summary>"Rows per second"</summary>
                {draw(&parts, &bars)}
                {table(&bars, "Rows per second", "Time since the start", "Rows per second")}
            </details>
        }
    })
}

/// One of the equal intervals since the start, in seconds.
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
        // Enough decimals to distinguish two intervals.
        let decimals = -length.max(0.001).log10().floor() as usize;
        format!(
            "{:.decimals$} – {:.decimals$}\u{a0}s",
            self.from, self.until
        )
    }

    fn bar(&self) -> Bar {
        Bar {
            name: self.time(),
            value: self.rate,
            said: format!("{} rows/s", whole(self.rate)),
        }
    }
}

fn draw(parts: &[Part], bars: &[Bar]) -> AnyView {
    let peak = parts.iter().map(|part| part.rate).fold(0.0, f64::max);
    let lowest = parts.iter().map(|part| part.rate).fold(peak, f64::min);
    let seconds = parts.last().map_or(0.0, |part| part.until);
    let description = format!(
        "Between {} and {} rows per second in the course of {}.",
        whole(lowest),
        whole(peak),
        format::seconds(seconds)
    );
    let captions = vec![
        "0".to_owned(),
        format::seconds(seconds / 2.0),
        format::seconds(seconds),
    ];
    chart(bars, description, captions)
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn every_interval_has_its_own_time() {
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
}
