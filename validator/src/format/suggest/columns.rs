//! Finds the use of each column by names and contents.

use super::place::{is_date, is_number};
use crate::{
    format::{
        AmountColumns, ColumnNames, ColumnRef, GivenColumns, IdColumns,
        synonyms::{self, Synonyms},
    },
    trim::trim,
};

/// What the values of a column look like.
struct Content<'a> {
    /// The trimmed value of each row.
    values: Vec<&'a str>,
    are_dates: bool,
    are_numbers: bool,
    are_different: bool,
    /// The number of rows with a value.
    filled: usize,
}

impl<'a> Content<'a> {
    fn of(column: usize, rows: &'a [Vec<String>]) -> Self {
        let values: Vec<&str> = rows
            .iter()
            .map(|row| row.get(column).map_or("", |value| trim(value)))
            .collect();
        let filled: Vec<&str> = values.iter().copied().filter(|it| !it.is_empty()).collect();
        let all = |is: &dyn Fn(&str) -> bool| {
            let matching = filled.iter().filter(|value| is(value)).count();
            // Pending rows and totals don't count against it.
            !filled.is_empty() && is_most(matching, filled.len())
        };
        let mut distinct = values.clone();
        distinct.sort_unstable();
        distinct.dedup();
        Self {
            are_dates: all(&is_date),
            are_numbers: all(&is_number),
            are_different: !values.is_empty()
                && distinct.len() == values.len()
                && filled.len() == values.len(),
            filled: filled.len(),
            values,
        }
    }

    fn is_empty(&self) -> bool {
        self.filled == 0
    }

    fn has_negative(&self) -> bool {
        let mut values = self.values.iter();
        values.any(|it| it.contains(['-', '\u{2212}', '(']))
    }

    /// Scores how much the numbers look like amounts of money, from 0 to 3: nearly every row has one, they differ, and
    /// some have a sign or decimals. Codes and fees score lower.
    fn money(&self) -> usize {
        let has_decimals = || self.values.iter().any(|it| it.contains(['.', ',']));
        let marks = [
            is_most(self.filled, self.values.len()),
            self.values.windows(2).any(|two| two[0] != two[1]),
            self.has_negative() || has_decimals(),
        ];
        marks.iter().filter(|mark| **mark).count()
    }
}

/// Returns whether at least three quarters match.
fn is_most(matching: usize, all: usize) -> bool {
    4 * matching >= 3 * all
}

/// Finds columns by their names and contents.
struct Suggester<'a> {
    normalized: Vec<String>,
    contents: Vec<Content<'a>>,
    taken: Vec<usize>,
}

/// How well a column fits: by its name, by a part of it, by a part that counts only if there is no other, or by its
/// content.
type Score = usize;

const BY_NAME: Score = 10_000;
const BY_PART: Score = 5_000;
const BY_LATE_PART: Score = 4_900;

/// The number of letters from which a mark of debits is a word, such as `Soll`.
const MIN_WORD: usize = 4;

impl<'a> Suggester<'a> {
    fn free(&self) -> impl Iterator<Item = usize> {
        (0..self.contents.len()).filter(|at| !self.taken.contains(at))
    }

    fn by_name(&self, synonyms: &Synonyms, at: usize) -> Option<Score> {
        let name = &self.normalized[at];
        let contains = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        match synonyms.place(name) {
            Some(place) => Some(BY_NAME - place),
            None if !contains(synonyms.parts) => None,
            None if contains(synonyms.late) => Some(BY_LATE_PART),
            None => Some(BY_PART),
        }
    }

    /// Returns the free column with the highest score. On a tie the first one wins.
    fn best(&self, score: impl Fn(usize, &Content) -> Option<Score>) -> Option<(usize, Score)> {
        let scored = self.free().filter_map(|at| {
            let score = score(at, &self.contents[at])?;
            Some((score, std::cmp::Reverse(at)))
        });
        scored.max().map(|(score, at)| (at.0, score))
    }

    fn take(&mut self, at: usize) -> usize {
        self.taken.push(at);
        at
    }

    fn date(&self) -> Option<usize> {
        let found = self.best(|at, content| {
            let by_name = self.by_name(&synonyms::DATE, at);
            match content.values.is_empty() {
                true => by_name,
                false => content.are_dates.then(|| by_name.unwrap_or(1)),
            }
        });
        found.map(|(at, _)| at)
    }

    /// Returns the column that has the amount of each row.
    fn amount(&self) -> Option<(usize, Score)> {
        self.best(|at, content| {
            let by_name = self.by_name(&synonyms::AMOUNT, at);
            if content.values.is_empty() {
                return by_name;
            }
            let is_code = content.are_dates && by_name.is_none_or(|score| score <= BY_PART);
            if !content.are_numbers || is_code {
                return None;
            }
            let is_balance = self.by_name(&synonyms::BALANCE, at).is_some();
            match by_name {
                Some(score) if score > BY_PART => Some(score),
                Some(score) if !is_balance => Some(score + content.money()),
                _ if is_balance => Some(1),
                _ => Some(2 + content.money()),
            }
        })
    }

    /// Returns the debit and credit columns by their names.
    fn pair_by_name(&self) -> Option<(usize, usize)> {
        let half = |synonyms: &Synonyms, other: &Synonyms, not: Option<usize>| {
            let found = self.best(|at, content| {
                let score = self.by_name(synonyms, at)?;
                // A name such as "debit/credit amount" is neither of the two.
                let is_both = score <= BY_PART && self.by_name(other, at).is_some();
                // One of the two is empty in many rows.
                let fits = content.are_numbers || content.is_empty();
                (fits && !is_both && Some(at) != not).then_some(score)
            });
            found.map(|(at, _)| at)
        };
        let debit = half(&synonyms::DEBIT, &synonyms::CREDIT, None)?;
        let credit = half(&synonyms::CREDIT, &synonyms::DEBIT, Some(debit))?;
        Some((debit, credit))
    }

    /// Finds two adjacent columns of numbers such that each row fills exactly one of them. Takes the first as debit, as
    /// in most files.
    fn pair_by_content(&self) -> Option<(usize, usize)> {
        let has = |at: usize, row: usize| {
            let value = self.contents[at].values[row];
            value.chars().any(|c| c.is_ascii_digit() && c != '0')
        };
        let fits = |at: &usize| {
            let content = &self.contents[*at];
            content.are_numbers
                && !content.are_dates
                && self.by_name(&synonyms::BALANCE, *at).is_none()
        };
        let columns: Vec<usize> = self.free().filter(fits).collect();
        let is_pair = |one: usize, other: usize| {
            let rows = 0..self.contents[one].values.len();
            let (mut ones, mut others) = (0, 0);
            for row in rows.clone() {
                match (has(one, row), has(other, row)) {
                    (true, true) => return false,
                    (true, false) => ones += 1,
                    (false, true) => others += 1,
                    (false, false) => {}
                }
            }
            ones > 0 && others > 0 && is_most(ones + others, rows.len())
        };
        let mut pairs = columns.windows(2).map(|two| (two[0], two[1]));
        let (one, other) = pairs.find(|(one, other)| is_pair(*one, *other))?;
        let is_credit = |at| self.by_name(&synonyms::CREDIT, at).is_some();
        Some(match is_credit(one) && !is_credit(other) {
            true => (other, one),
            false => (one, other),
        })
    }

    /// Returns a column whose values mark negative amounts, and those values. If there are only debits, the mark must be a
    /// word, or the name of the column that of a direction.
    fn sign(&self) -> Option<(usize, Vec<String>)> {
        self.free().find_map(|at| {
            let content = &self.contents[at];
            let mut values: Vec<&str> = content.values.clone();
            values.retain(|it| !it.is_empty());
            if content.is_empty() || !is_most(content.filled, content.values.len()) {
                return None;
            }
            let texts: Vec<String> = values.iter().map(|it| it.to_lowercase()).collect();
            let is_named = self.names_direction(at);
            let (debit, _) = synonyms::DIRECTIONS.iter().find(|(debit, credit)| {
                let has = |known: &str| texts.iter().any(|it| it == known);
                let both = texts.iter().filter(|it| it == debit || it == credit);
                let is_clear = || is_named || debit.chars().count() >= MIN_WORD;
                has(debit) && (has(credit) || is_clear()) && is_most(both.count(), texts.len())
            })?;
            values.retain(|it| it.to_lowercase() == *debit);
            values.sort_unstable();
            values.dedup();
            Some((at, values.into_iter().map(str::to_owned).collect()))
        })
    }

    /// Returns whether a column is called like a direction, such as `Direction`, `D/C` or `Af Bij`.
    fn names_direction(&self, at: usize) -> bool {
        let name = &self.normalized[at];
        let has_both = |(debit, credit): &(&str, &str)| {
            debit.len() > 1 && name.contains(debit) && name.contains(credit)
        };
        self.by_name(&synonyms::DIRECTION, at).is_some()
            || synonyms::DIRECTIONS.iter().any(has_both)
    }

    fn amounts(&mut self) -> Option<AmountColumns<usize>> {
        let halves = |(debit, credit)| AmountColumns::DebitCredit { debit, credit };
        if let Some(pair) = self.pair_by_name() {
            return Some(halves(pair));
        }
        let single = self.amount();
        let is_half = |at: usize, pair: (usize, usize)| at == pair.0 || at == pair.1;
        let pair = self.pair_by_content();
        if let Some(pair) = pair
            && single.is_none_or(|(at, score)| score < BY_LATE_PART || is_half(at, pair))
        {
            return Some(halves(pair));
        }
        let value = self.take(single?.0);
        if !self.contents[value].has_negative()
            && let Some((sign, negative)) = self.sign()
        {
            return Some(AmountColumns::Signed {
                value,
                sign,
                negative,
            });
        }
        Some(AmountColumns::One(value))
    }
}

/// Suggests the columns of a file by its header and rows.
pub(super) fn columns(names: &[String], rows: &[Vec<String>]) -> GivenColumns {
    let mut suggester = Suggester {
        normalized: names.iter().map(|name| synonyms::key(name)).collect(),
        contents: (0..names.len()).map(|at| Content::of(at, rows)).collect(),
        taken: Vec::new(),
    };
    let known = ColumnNames::new(names);
    let reference = |at: usize| known.reference(at);
    let date = suggester.date().map(|at| suggester.take(at));
    let amount = suggester.amounts();
    let columns = amount.iter().flat_map(AmountColumns::all).flatten();
    suggester.taken.extend(columns.copied());
    let id = suggester.best(|at, content| {
        let fits = content.are_different || content.values.is_empty();
        fits.then(|| suggester.by_name(&synonyms::TRANSACTION_ID, at))?
    });
    let id = id.map(|(at, _)| suggester.take(at));
    let description = suggester.best(|at, _| suggester.by_name(&synonyms::DESCRIPTION, at));
    GivenColumns {
        transaction_id: Some(IdColumns {
            from: id.map(reference).into_iter().collect(),
            unique: true,
        }),
        amount: amount.map(|amount| amount.map(|at| reference(*at))),
        date: date.map(reference),
        description: description.map(|(at, _)| vec![reference(at)]),
    }
}

impl GivenColumns {
    /// Returns the same columns by number.
    pub(super) fn by_number(self, names: &ColumnNames) -> Self {
        let number = |column: &ColumnRef| match names.given(column) {
            Ok(at) => ColumnRef::Number(at as u32 + 1),
            Err(_) => column.clone(),
        };
        Self {
            transaction_id: self.transaction_id.map(|ids| IdColumns {
                from: ids.from.iter().map(number).collect(),
                ..ids
            }),
            amount: self.amount.map(|amount| amount.map(number)),
            date: self.date.as_ref().map(number),
            description: (self.description).map(|all| all.iter().map(number).collect()),
        }
    }
}

impl ColumnNames {
    /// Returns the column by name, or by number if the name isn't unique.
    fn reference(&self, at: usize) -> ColumnRef {
        let name = self.name(at);
        match self.given(&ColumnRef::Name(name.to_owned())) {
            Ok(found) if found == at && !name.is_empty() => ColumnRef::Name(name.to_owned()),
            _ => ColumnRef::Number(at as u32 + 1),
        }
    }
}
