//! Bar charts, drawn on the server, with their values on hover and in a table.

use domain::format;
use leptos::prelude::*;

/// A bar and its texts.
pub struct Bar {
    /// What the bar represents.
    pub name: String,
    pub value: f64,
    /// The value in words, with its unit.
    pub said: String,
}

/// A chart with a bar for each value.
pub fn chart(bars: &[Bar], description: String, captions: Vec<String>) -> AnyView {
    let peak = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let top = ceiling(peak);
    let draw = |(at, bar): (usize, &Bar)| {
        let height = bar.value / top * 100.0;
        view! {
            <g>
                <title>{format!("{}: {}", bar.name, bar.said)}</title>
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
    let drawn = bars.iter().enumerate().map(draw).collect_view();
    let captions = captions
        .into_iter()
        .map(|caption| view! { <span>{caption}</span> });
    view! {
        <figure class="chart">
            <div class="chart-axis">
                <span>{whole(top)}</span>
                <span>{whole(top / 2.0)}</span>
                <span>"0"</span>
            </div>
            <svg
                viewBox=format!("0 0 {} 100", bars.len())
                preserveAspectRatio="none"
                role="img"
                aria-label=description
            >
                <path class="chart-line" d=format!("M0 50H{}", bars.len()) />
                {drawn}
            </svg>
            <figcaption>{captions.collect_view()}</figcaption>
        </figure>
    }
    .into_any()
}

/// The values of a chart, for keyboards and screen readers.
pub fn table(
    bars: &[Bar],
    label: &'static str,
    names: &'static str,
    values: &'static str,
) -> AnyView {
    let rows = bars.iter().map(|bar| {
        view! {
            <tr>
                <th scope="row">{bar.name.clone()}</th>
                <td class="number">{whole(bar.value)}</td>
            </tr>
        }
    });
    view! {
        <details class="disclosure">
            <summary>"As a table"</summary>
            <table class="values" aria-label=label>
                <thead>
                    <tr>
                        <th scope="col">{names}</th>
                        <th scope="col" class="number">
                            {values}
                        </th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </details>
    }
    .into_any()
}

pub fn whole(value: f64) -> String {
    format::count(value.round() as u64)
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
    use super::ceiling;

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
