use domain::{AmountRows, JobReport, Month, MonthRows, format};
use leptos::prelude::*;

use super::chart::{Bar, chart, table};

/// The maximum number of bars that fit on a phone screen.
const MOST_BARS: u32 = 60;

/// Charts of the valid rows by amount and by month. Empty without valid rows, and for results of earlier versions.
#[component]
pub fn Spread<'a>(report: &'a JobReport) -> impl IntoView + use<> {
    let amounts = report.amounts.as_deref().map(amount_bars);
    let amounts = amounts.filter(|bars| !bars.is_empty());
    let months = report.months.as_deref().map(month_bars);
    let months = months.filter(|(_, bars)| !bars.is_empty());
    let panel = (amounts.is_some() || months.is_some()).then(|| {
        let amounts = amounts.map(|bars| figure(&bars, "Amounts by size", "Amount"));
        let months = months.map(|(unit, bars)| figure(&bars, unit.title(), unit.name()));
        view! {
            <section class="panel" aria-labelledby="valid-rows">
                <h2 id="valid-rows">"Valid rows"</h2>
                <div class="charts">{amounts} {months}</div>
            </section>
        }
    });
    view! { <div id="spread" data-part>{panel}</div> }.into_any()
}

fn figure(bars: &[Bar], title: &'static str, names: &'static str) -> AnyView {
    let most = bars
        .iter()
        .reduce(|most, bar| match bar.value > most.value {
            true => bar,
            false => most,
        });
    let description = most.map_or_else(String::new, |most| {
        format!("{title}. Largest group: {}, {}.", most.name, most.said)
    });
    let ends = [bars.first(), bars.last().filter(|_| bars.len() > 1)];
    let captions = ends.into_iter().flatten().map(|bar| bar.name.clone());
    view! {
        <div>
            <h3>{title}</h3>
            {chart(bars, description, captions.collect())}
            {table(bars, title, names, "Rows")}
        </div>
    }
    .into_any()
}

fn bar(name: String, rows: u64) -> Bar {
    let unit = if rows == 1 { "row" } else { "rows" };
    Bar {
        name,
        value: rows as f64,
        said: format!("{} {unit}", format::count(rows)),
    }
}

/// Returns bars from the first size with rows to the last one.
fn amount_bars(amounts: &[AmountRows]) -> Vec<Bar> {
    let has_rows = |amounts: &AmountRows| amounts.rows > 0;
    let Some(first) = amounts.iter().position(has_rows) else {
        return Vec::new();
    };
    let last = amounts.iter().rposition(has_rows).unwrap_or(first);
    let bars = amounts[first..=last].iter().map(|size| {
        let name = match size.below {
            Some(below) => format!("{} – {}", format::count(size.from), format::count(below)),
            None => format!("{} and more", format::count(size.from)),
        };
        bar(name, size.rows)
    });
    bars.collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Month,
    Year,
    Decade,
    Century,
}

impl Unit {
    const fn title(self) -> &'static str {
        match self {
            Self::Month => "Rows by month",
            Self::Year => "Rows by year",
            Self::Decade => "Rows by decade",
            Self::Century => "Rows by century",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Month => "Month",
            Self::Year => "Year",
            Self::Decade => "Decade",
            Self::Century => "Century",
        }
    }

    /// Returns the number of the period that contains this month.
    fn number(self, month: Month) -> u32 {
        let year = u32::from(month.year);
        match self {
            Self::Month => 12 * year + u32::from(month.month) - 1,
            Self::Year => year,
            Self::Decade => year / 10,
            Self::Century => year / 100,
        }
    }

    fn show(self, number: u32) -> String {
        match self {
            Self::Month => format!("{:04}-{:02}", number / 12, number % 12 + 1),
            Self::Year => format!("{number:04}"),
            Self::Decade => format!("{:04}s", 10 * number),
            Self::Century => format!("{:04} – {:04}", 100 * number, 100 * number + 99),
        }
    }
}

/// Returns bars from the first month with rows to the last one. Combines them into years or longer periods if there are
/// too many.
fn month_bars(months: &[MonthRows]) -> (Unit, Vec<Bar>) {
    let (Some(first), Some(last)) = (months.first(), months.last()) else {
        return (Unit::Month, Vec::new());
    };
    let span = |unit: Unit| unit.number(last.month) - unit.number(first.month) + 1;
    let units = [Unit::Month, Unit::Year, Unit::Decade];
    let fits = units.into_iter().find(|unit| span(*unit) <= MOST_BARS);
    let unit = fits.unwrap_or(Unit::Century);
    let start = unit.number(first.month);
    let mut rows = vec![0; span(unit) as usize];
    for month in months {
        rows[(unit.number(month.month) - start) as usize] += month.rows;
    }
    let bars = (start..).zip(rows);
    let bars = bars.map(|(number, rows)| bar(unit.show(number), rows));
    (unit, bars.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn months(months: &[(u16, u8, u64)]) -> Vec<MonthRows> {
        let months = months.iter().map(|&(year, month, rows)| MonthRows {
            month: Month { year, month },
            rows,
        });
        months.collect()
    }

    fn names_and_rows(bars: &[Bar]) -> Vec<(&str, u64)> {
        bars.iter()
            .map(|bar| (bar.name.as_str(), bar.value as u64))
            .collect()
    }

    #[test]
    fn months_without_rows_have_a_bar() {
        let (unit, bars) = month_bars(&months(&[(2023, 11, 5), (2024, 2, 7)]));
        assert_eq!(unit, Unit::Month);
        assert_eq!(
            names_and_rows(&bars),
            [
                ("2023-11", 5),
                ("2023-12", 0),
                ("2024-01", 0),
                ("2024-02", 7)
            ]
        );
        assert!(month_bars(&[]).1.is_empty());
    }

    #[test]
    fn long_periods_have_few_bars() {
        for (first, last, unit, bars) in [
            ((2020, 1), (2024, 12), Unit::Month, 60),
            ((2020, 1), (2025, 1), Unit::Year, 6),
            ((1901, 1), (2024, 1), Unit::Decade, 13),
            ((1, 1), (9999, 12), Unit::Century, 100),
        ] {
            let months = months(&[(first.0, first.1, 1), (last.0, last.1, 2)]);
            let (found, drawn) = month_bars(&months);
            assert_eq!((found, drawn.len()), (unit, bars));
            let rows: f64 = drawn.iter().map(|bar| bar.value).sum();
            assert_eq!(rows, 3.0);
        }
    }

    #[test]
    fn sizes_without_rows_around_are_left_out() {
        let size = |from, below, rows| AmountRows { from, below, rows };
        let bars = amount_bars(&[
            size(0, Some(1), 0),
            size(1, Some(10), 2),
            size(10, Some(100), 0),
            size(100, None, 1),
        ]);
        assert_eq!(
            names_and_rows(&bars),
            [("1 – 10", 2), ("10 – 100", 0), ("100 and more", 1)]
        );
        assert!(amount_bars(&[size(0, Some(1), 0)]).is_empty());
    }
}
