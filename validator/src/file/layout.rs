//! How a stored file is to be read.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{Display, IntoStaticStr, VariantArray};

pub use super::encoding::Encoding;
use super::header::{are_generated, header_key, original_key};
use crate::{
    DateOrder, Decimal,
    format::{
        AmountColumns, ColumnRef, CompletedFormat, Container, Fields, Format, GivenColumns,
        IdColumns, Ignore, IgnoredValue, Limits,
    },
};

/// How a stored file is to be read. It is determined once and then passed to every chunk. It is stored with the result,
/// so its JSON may only gain keys.
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
    /// The version of the rules. A result started under an earlier version is finished under it.
    #[serde(default = "first_version")]
    pub(super) rules: u8,
    #[serde(default)]
    pub(super) ids_may_repeat: bool,
    #[serde(default = "has_header")]
    pub(super) header: bool,
    #[serde(default)]
    pub(super) skip_records: u32,
    /// The number of `names` that belong to the file. The others are columns that a download added.
    #[serde(default)]
    pub(super) own_columns: Option<usize>,
    #[serde(default)]
    pub(super) ignore: Vec<(usize, IgnoredValue)>,
    #[serde(default)]
    pub(super) fields: Fields,
    /// `None` means the default limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) limits: Option<Limits>,
    #[serde(default)]
    pub(super) date_order: Option<DateOrder>,
    #[serde(default)]
    pub(super) decimal: Decimal,
    /// Whether the rows decide on these two.
    #[serde(skip)]
    pub(super) asks: Asks,
}

/// What the rows have to decide.
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

/// The version of the rules for new results.
pub(super) const RULES: u8 = 2;

impl Layout {
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Returns the names of the header in their order, unquoted and otherwise unchanged. Bytes that aren't UTF-8 become
    /// U+FFFD. Without a header the names are `column 1` and so on.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the header as the key of a saved format. For a download it is that of the original file. `None` for a
    /// file without a header.
    pub fn header_key(&self) -> Option<Vec<String>> {
        match (self.header, self.is_download()) {
            (false, _) => None,
            (true, false) => header_key(&self.names),
            (true, true) => original_key(self.own_names()).filter(|names| !are_generated(names)),
        }
    }

    /// Returns the keys of the given format that are saved for other files. The container is always recognised.
    pub fn format_to_save(&self, given: &Format) -> Format {
        match self.is_download() {
            true => Format {
                encoding: None,
                ..given.clone().for_download()
            },
            false => Format {
                container: None,
                ..given.clone()
            },
        }
    }

    /// Returns those of [`Self::names`] that no download added.
    pub fn own_names(&self) -> &[String] {
        &self.names[..self.own_columns.unwrap_or(self.names.len())]
    }

    /// Returns whether the file is a `results.csv` that was uploaded again.
    #[inline]
    pub(crate) fn is_download(&self) -> bool {
        self.own_columns.is_some()
    }

    /// Returns whether amounts and dates can be taken literally: there is one column of plain numbers, and dates have
    /// the year first.
    pub fn is_plain(&self) -> bool {
        self.decimal == Decimal::Point
            && self.date_order.is_none()
            && matches!(self.amount, AmountColumns::One(_))
    }

    /// Returns whether the id and the description of a row are each at most one field, shown as stored.
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

    /// Returns the order of dates with the year last. `None` if there are none.
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

    /// Collects evidence about what a saved format says, because the rows may contradict it.
    pub(super) fn ask_about_saved(&mut self, format: &CompletedFormat) {
        self.asks.decimal |= format.saved_decimal().is_some();
        self.asks.date_order |= format.saved_date_order().is_some();
    }

    /// Marks everything that the rows could decide as decided.
    pub(crate) fn asked(&mut self) {
        self.asks = Asks::default();
    }

    pub(crate) fn set_date_order(&mut self, order: DateOrder) {
        self.date_order = Some(order);
    }

    pub(crate) fn set_decimal(&mut self, decimal: Decimal) {
        self.decimal = decimal;
    }

    /// Returns whether a record with this number of fields has every column in use.
    pub(crate) fn has_fields_in_use(&self, fields: usize) -> bool {
        let amounts = self.amount.all();
        let ignored = self.ignore.iter().map(|(at, _)| at);
        let used = (self.ids.iter().chain(&self.descriptions))
            .chain(amounts.into_iter().flatten())
            .chain(ignored)
            .chain([&self.date]);
        used.into_iter().all(|at| *at < fields)
    }

    /// Returns whether a record with fewer fields than the header is padded.
    pub(crate) fn pads(&self) -> bool {
        self.fields == Fields::Pad
    }

    /// Returns the indices of `column` in [`Self::names`]. Empty if the file doesn't have it.
    pub fn positions(&self, column: Column) -> Vec<usize> {
        match column {
            Column::TransactionId => self.ids.clone(),
            Column::Amount => self.amount.all().into_iter().flatten().copied().collect(),
            Column::Date => vec![self.date],
            Column::Description => self.descriptions.clone(),
        }
    }

    /// Returns a format with all decisions, which reads the file in the same way.
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

/// Column indices. One index is stored as a number and none as `null`, as in the first version.
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

/// A column known to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Column {
    TransactionId,
    Amount,
    /// Also named `timestamp`.
    Date,
    Description,
}

impl Column {
    pub const ALL: &'static [Self] = Self::VARIANTS;
    pub const REQUIRED: [Self; 3] = [Self::TransactionId, Self::Amount, Self::Date];

    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}
