//! Finds columns by their names.

use super::{ColumnRef, Format, GivenColumns, IgnoredValue};
use crate::{
    Column,
    format::{AmountColumns, Ignore},
    trim::trim,
};

/// The names of a header.
pub(crate) struct ColumnNames {
    trimmed: Vec<String>,
    normalized: Vec<String>,
}

/// Normalizes a name for comparison: removes invisible characters, trims it, converts it to lower case, and removes
/// spaces, hyphens and underscores.
pub(crate) fn normalized(name: &str) -> String {
    let is_visible = |c: &char| {
        !matches!(
            c,
            '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}'
        )
    };
    let visible: String = name.chars().filter(is_visible).collect();
    // While words are still apart, because a sigma at the end of a word has its own lower case.
    trim(&visible).to_lowercase().replace([' ', '-', '_'], "")
}

/// The reason why a column wasn't found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotFound {
    Missing,
    /// Several columns have this name.
    Repeated(Vec<usize>),
}

impl ColumnNames {
    pub(crate) fn new(names: &[String]) -> Self {
        Self {
            trimmed: names.iter().map(|name| trim(name).to_owned()).collect(),
            normalized: names.iter().map(|name| normalized(name)).collect(),
        }
    }

    pub(crate) fn name(&self, at: usize) -> &str {
        &self.trimmed[at]
    }

    fn len(&self) -> usize {
        self.trimmed.len()
    }

    /// Returns the columns whose normalized name is `known`.
    fn called(&self, known: &str) -> Vec<usize> {
        let names = self.normalized.iter().enumerate();
        names
            .filter(|(_, name)| *name == known)
            .map(|(at, _)| at)
            .collect()
    }

    /// Finds a column by the names that the rules know.
    fn known(&self, column: Column) -> Result<usize, NotFound> {
        let mut places = self.called(match column {
            Column::TransactionId => "transactionid",
            Column::Amount => "amount",
            Column::Date => "date",
            Column::Description => "description",
        });
        if column == Column::Date && places.is_empty() {
            places = self.called("timestamp");
        }
        one_of(places)
    }

    pub(crate) fn given(&self, column: &ColumnRef) -> Result<usize, NotFound> {
        match column {
            ColumnRef::Number(number) => {
                let at = *number as usize - 1;
                (at < self.len()).then_some(at).ok_or(NotFound::Missing)
            }
            ColumnRef::Name(name) => {
                let exact = self.trimmed.iter().enumerate();
                let exact: Vec<usize> = exact
                    .filter(|(_, known)| *known == trim(name))
                    .map(|(at, _)| at)
                    .collect();
                match exact[..] {
                    [one] => Ok(one),
                    _ => one_of(self.called(&normalized(name))),
                }
            }
        }
    }
}

fn one_of(places: Vec<usize>) -> Result<usize, NotFound> {
    match places[..] {
        [] => Err(NotFound::Missing),
        [one] => Ok(one),
        _ => Err(NotFound::Repeated(places)),
    }
}

/// The columns found in a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct FoundColumns {
    /// If empty, rows have no id.
    pub ids: Vec<usize>,
    pub ids_are_unique: bool,
    pub amount: Option<AmountColumns<usize>>,
    pub date: Option<usize>,
    pub descriptions: Vec<usize>,
    pub ignore: Vec<(usize, IgnoredValue)>,
    /// The number of columns that are present, possibly several times. One that consists of several columns counts once,
    /// if all of these are present.
    pub known: usize,
    pub missing: Vec<Column>,
    pub repeated: Vec<(Column, Vec<usize>)>,
    /// Given columns that don't exist.
    pub unknown: Vec<ColumnRef>,
}

impl FoundColumns {
    pub(crate) fn find(names: &ColumnNames, format: &Format) -> Self {
        let mut found = Self::default();
        let GivenColumns {
            transaction_id,
            amount,
            date,
            description,
        } = &format.columns;

        found.ids_are_unique = transaction_id.as_ref().is_none_or(|ids| ids.unique);
        match transaction_id {
            None => {
                let id = found.by_name(names, Column::TransactionId);
                found.ids.extend(id);
            }
            Some(given) => found.ids = found.several(names, Column::TransactionId, &given.from),
        }
        found.amount = match amount {
            None => found.by_name(names, Column::Amount).map(AmountColumns::One),
            Some(given) => {
                let all: Vec<ColumnRef> = given.all().into_iter().flatten().cloned().collect();
                found.several(names, Column::Amount, &all);
                given.try_map(|column| names.given(column)).ok()
            }
        };
        found.date = match date {
            None => found.by_name(names, Column::Date),
            Some(given) => (found.several(names, Column::Date, std::slice::from_ref(given))).pop(),
        };
        found.descriptions = match description {
            None => Vec::from_iter(found.by_name(names, Column::Description)),
            Some(given) => found.several(names, Column::Description, given),
        };
        for Ignore { column, is } in format.ignore.iter().flatten() {
            match names.given(column) {
                Ok(at) => found.ignore.push((at, is.clone())),
                Err(_) => found.unknown.push(column.clone()),
            }
        }
        found
    }

    /// Returns whether all required columns are present.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.repeated.is_empty() && self.unknown.is_empty()
    }

    /// Returns whether all required columns are present, possibly several times.
    pub(crate) fn has_required(&self) -> bool {
        self.missing.is_empty()
    }

    fn by_name(&mut self, names: &ColumnNames, column: Column) -> Option<usize> {
        let place = names.known(column);
        self.known += usize::from(place != Err(NotFound::Missing));
        match place {
            Ok(at) => Some(at),
            Err(not_found) => {
                self.lacks(column, None, not_found);
                None
            }
        }
    }

    fn several(&mut self, names: &ColumnNames, column: Column, given: &[ColumnRef]) -> Vec<usize> {
        let mut places = Vec::new();
        let mut is_known = true;
        for one in given {
            match names.given(one) {
                Ok(at) => places.push(at),
                Err(not_found) => {
                    is_known &= not_found != NotFound::Missing;
                    self.lacks(column, Some(one), not_found);
                }
            }
        }
        self.known += usize::from(is_known);
        places
    }

    fn lacks(&mut self, column: Column, given: Option<&ColumnRef>, not_found: NotFound) {
        match not_found {
            NotFound::Repeated(places) => self.repeated.push((column, places)),
            NotFound::Missing => {
                self.unknown.extend(given.cloned());
                if Column::REQUIRED.contains(&column) && !self.missing.contains(&column) {
                    self.missing.push(column);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::normalized;

    #[test]
    fn names_are_compared_without_invisible_characters() {
        for name in [
            "transaction_id",
            "Transaction ID",
            " TRANSACTION-ID\u{A0}",
            "TransactionId",
            "\u{FEFF}transaction\u{200B}_id",
            "trans\u{AD}action_id",
        ] {
            assert_eq!(normalized(name), "transactionid", "{name:?}");
        }
        assert_eq!(normalized("Währung (EUR)"), "währung(eur)");
        assert_eq!(normalized("\u{200B} a "), "a");
        assert_eq!(normalized("ΤΙΤΛΟΣ ΕΡΓΟΥ"), normalized("τιτλος εργου"));
    }
}
