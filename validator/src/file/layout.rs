//! How a stored file is to be read.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use super::encoding::Encoding;
use crate::{
    DateOrder, Decimal,
    format::{
        AmountColumns, ColumnRef, Container, Fields, Format, GivenColumns, IdColumns, Ignore,
        IgnoredValue, Limits,
    },
};

/// How a stored file is to be read: found once, then handed to every chunk. It is stored with the result, so its JSON
/// only grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    pub(super) encoding: Encoding,
    pub(super) delimiter: u8,
    pub(super) names: Vec<String>,
    #[serde(rename = "transaction_id", with = "places")]
    pub(super) ids: Vec<usize>,
    pub(super) amount: AmountColumns<usize>,
    pub(super) date: usize,
    #[serde(rename = "description", with = "places", default)]
    pub(super) descriptions: Vec<usize>,
    /// Version of the rules. A result that was begun under an earlier one is finished under it.
    #[serde(default = "first_version")]
    pub(super) rules: u8,
    #[serde(default)]
    pub(super) ids_may_repeat: bool,
    #[serde(default = "has_header")]
    pub(super) header: bool,
    #[serde(default)]
    pub(super) skip_records: u32,
    /// Columns of `names` that are the file's own. The rest are those that a download has added.
    #[serde(default)]
    pub(super) own_columns: Option<usize>,
    #[serde(default)]
    pub(super) ignore: Vec<(usize, IgnoredValue)>,
    #[serde(default)]
    pub(super) fields: Fields,
    /// `None`: the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) limits: Option<Limits>,
    #[serde(default)]
    pub(super) date_order: Option<DateOrder>,
    #[serde(default)]
    pub(super) decimal: Decimal,
    /// Whether the rows are to decide on these two.
    #[serde(skip)]
    pub(super) asks: Asks,
}

/// What the rows are to decide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asks {
    pub date_order: bool,
    pub decimal: bool,
}

const fn first_version() -> u8 {
    1
}

const fn has_header() -> bool {
    true
}

/// Version of the rules that new results are begun under.
pub(super) const RULES: u8 = 2;

impl Layout {
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The header's names in their order, unquoted and otherwise as they are in the file; bytes
    /// that are not UTF-8 are U+FFFD. Without a header, `column 1` and so on.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The header's names as a saved format keeps them. `None` for a file without a header.
    pub fn header_key(&self) -> Option<Vec<String>> {
        self.header
            .then(|| super::header::header_key(&self.names))
            .flatten()
    }

    /// Those of [`Self::names`] that no download has added.
    pub fn own_names(&self) -> &[String] {
        &self.names[..self.own_columns.unwrap_or(self.names.len())]
    }

    /// Whether the file is a `results.csv` that is handed in again.
    #[inline]
    pub(crate) fn is_download(&self) -> bool {
        self.own_columns.is_some()
    }

    /// Whether amounts and dates are what they look like: one column of plain numbers, and dates that have their year
    /// first.
    pub fn is_plain(&self) -> bool {
        self.decimal == Decimal::Point
            && self.date_order.is_none()
            && matches!(self.amount, AmountColumns::One(_))
    }

    /// Whether the id and the description that a row shows are fields of the file.
    pub fn has_texts_as_stored(&self) -> bool {
        self.ids.len() <= 1 && self.descriptions.len() <= 1 && !self.is_download()
    }

    pub(crate) fn rules(&self) -> u8 {
        self.rules
    }

    #[inline]
    pub(crate) fn ids(&self) -> &[usize] {
        &self.ids
    }

    #[inline]
    pub(crate) fn ids_are_unique(&self) -> bool {
        !self.ids_may_repeat
    }

    #[inline]
    pub(crate) fn amount(&self) -> &AmountColumns<usize> {
        &self.amount
    }

    #[inline]
    pub(crate) fn date(&self) -> usize {
        self.date
    }

    pub(crate) fn descriptions(&self) -> &[usize] {
        &self.descriptions
    }

    #[inline]
    pub(crate) fn ignore(&self) -> &[(usize, IgnoredValue)] {
        &self.ignore
    }

    #[inline]
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.limits.as_ref()
    }

    /// The order of dates that name the year last. `None` if there are none.
    #[inline]
    pub fn date_order(&self) -> Option<DateOrder> {
        self.date_order
    }

    #[inline]
    pub fn decimal(&self) -> Decimal {
        self.decimal
    }

    #[inline]
    pub(crate) fn asks_for_date_order(&self) -> bool {
        self.asks.date_order
    }

    #[inline]
    pub(crate) fn asks_for_decimal(&self) -> bool {
        self.asks.decimal
    }

    /// Nothing is left for the rows to decide.
    pub(crate) fn asked(&mut self) {
        self.asks = Asks::default();
    }

    pub(crate) fn set_date_order(&mut self, order: DateOrder) {
        self.date_order = Some(order);
    }

    pub(crate) fn set_decimal(&mut self, decimal: Decimal) {
        self.decimal = decimal;
    }

    /// Whether a record of this number of fields has every column in use.
    pub(crate) fn has_fields_in_use(&self, fields: usize) -> bool {
        let amounts = self.amount.all();
        let ignored = self.ignore.iter().map(|(at, _)| at);
        let used = (self.ids.iter().chain(&self.descriptions))
            .chain(amounts.into_iter().flatten())
            .chain(ignored)
            .chain([&self.date]);
        used.into_iter().all(|at| *at < fields)
    }

    /// Whether a record with fewer fields than the header is filled up.
    pub(crate) fn pads(&self) -> bool {
        self.fields == Fields::Pad
    }

    /// Where `column` is among [`Self::names`]. Empty if there is none.
    pub fn positions(&self, column: Column) -> Vec<usize> {
        match column {
            Column::TransactionId => self.ids.clone(),
            Column::Amount => self.amount.all().into_iter().flatten().copied().collect(),
            Column::Date => vec![self.date],
            Column::Description => self.descriptions.clone(),
        }
    }

    /// Everything that is decided, as a format that reads the file in the same way.
    pub(crate) fn format(&self, container: Option<Container>, sheet: Option<String>) -> Format {
        let reference = |at: &usize| {
            let name = crate::trim::trim(&self.names[*at]);
            let alike = self
                .names
                .iter()
                .filter(|other| crate::trim::trim(other) == name);
            match self.header && !name.is_empty() && alike.count() == 1 {
                true => ColumnRef::Name(name.to_owned()),
                false => ColumnRef::Number(*at as u32 + 1),
            }
        };
        let Ok(amount) = self
            .amount
            .try_map(|at| Ok::<_, std::convert::Infallible>(reference(at)));
        Format {
            container: container.or(Some(Container::Csv)),
            sheet,
            encoding: Some(self.encoding),
            delimiter: Some(self.delimiter),
            header: Some(self.header),
            skip_records: Some(self.skip_records),
            ignore: (!self.ignore.is_empty()).then(|| {
                let conditions = self.ignore.iter().map(|(at, is)| Ignore {
                    column: reference(at),
                    is: is.clone(),
                });
                conditions.collect()
            }),
            fields: Some(self.fields),
            suspicious: Some(self.limits.unwrap_or_default()),
            columns: GivenColumns {
                transaction_id: Some(IdColumns {
                    from: self.ids.iter().map(reference).collect(),
                    unique: !self.ids_may_repeat,
                }),
                amount: Some(amount),
                date: Some(reference(&self.date)),
                description: Some(self.descriptions.iter().map(reference).collect()),
            },
            date_order: self.date_order,
            decimal: Some(self.decimal),
        }
    }
}

/// A list of places. One is a number and none is `null`, as the first version stored them.
mod places {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Places {
        None(()),
        One(usize),
        Several(Vec<usize>),
    }

    pub fn serialize<S: Serializer>(places: &[usize], serializer: S) -> Result<S::Ok, S::Error> {
        match places {
            [] => serializer.serialize_none(),
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
        Ok(match Places::deserialize(deserializer)? {
            Places::None(()) => Vec::new(),
            Places::One(one) => vec![one],
            Places::Several(several) => several,
        })
    }
}

/// A column that the rules know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    TransactionId,
    Amount,
    /// Also called `timestamp`.
    Date,
    Description,
}

impl Column {
    pub const ALL: [Self; 4] = [
        Self::TransactionId,
        Self::Amount,
        Self::Date,
        Self::Description,
    ];
    pub const REQUIRED: [Self; 3] = [Self::TransactionId, Self::Amount, Self::Date];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransactionId => "transaction_id",
            Self::Amount => "amount",
            Self::Date => "date",
            Self::Description => "description",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
