//! What can be wrong with a generated row.

/// The single error of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    AmountNotANumber,
    DateNotADate,
    IdMissing,
    DateOutOfRange,
    /// The row has the id of a valid row at about half its number.
    IdDuplicate,
    /// The row has five fields under four columns.
    ColumnCount,
    AmountMissing,
    AmountOutOfRange,
    DateMissing,
    IdTooLong,
}

impl Error {
    /// All errors, in the order in which rows have them in turn.
    pub const ALL: [Self; 10] = [
        Self::AmountNotANumber,
        Self::DateNotADate,
        Self::IdMissing,
        Self::DateOutOfRange,
        Self::IdDuplicate,
        Self::ColumnCount,
        Self::AmountMissing,
        Self::AmountOutOfRange,
        Self::DateMissing,
        Self::IdTooLong,
    ];

    /// Returns the error code that the row must get. Written out here so that the validator can't change what it is
    /// compared with.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AmountNotANumber => "amount.not_a_number",
            Self::DateNotADate => "date.not_a_date",
            Self::IdMissing => "transaction_id.missing",
            Self::DateOutOfRange => "date.out_of_range",
            Self::IdDuplicate => "transaction_id.duplicate",
            Self::ColumnCount => "row.column_count",
            Self::AmountMissing => "amount.missing",
            Self::AmountOutOfRange => "amount.out_of_range",
            Self::DateMissing => "date.missing",
            Self::IdTooLong => "transaction_id.too_long",
        }
    }
}
