//! Reads a stored file from its beginning to its end: text, header, records.

use super::{
    FileError, HeadEnd, Layout,
    decode::Decoder,
    encoding::Encoding,
    header,
    record::Record,
    records::{EndOf, RecordSink, Records},
};
use crate::{DateOrder, Decimal, format::CompletedFormat};

/// Reads a stored file in slices of any size and passes on each record after the header that is not skipped. After an
/// error nothing more may be fed.
pub(super) struct Reader {
    decoder: Decoder,
    stage: Stage,
    given: Given,
}

/// The conditions under which the rows are read.
pub(super) struct Given {
    pub format: CompletedFormat,
    pub presumed: Presumed,
}

/// Decisions that only the rows can make, presumed before they are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presumed {
    pub decimal: Option<Decimal>,
    pub date_order: Option<DateOrder>,
}

impl Presumed {
    fn apply(self, layout: &mut Layout) {
        if let Some(decimal) = self.decimal.filter(|_| layout.asks_for_decimal()) {
            layout.set_decimal(decimal);
        }
        if let Some(order) = self.date_order.filter(|_| layout.asks_for_date_order()) {
            layout.set_date_order(order);
        }
    }
}

/// Receives the records after the header, like [`RecordSink`].
pub(super) trait RowSink {
    fn row(&mut self, layout: &Layout, record: &Record<'_>);

    fn ahead<'a>(&mut self, layout: &Layout, records: impl Iterator<Item = Record<'a>>);
}

struct WithLayout<'a, S>(&'a Layout, &'a mut S);

impl<S: RowSink> RecordSink for WithLayout<'_, S> {
    #[inline]
    fn record(&mut self, record: &Record<'_>) {
        self.1.row(self.0, record);
    }

    #[inline]
    fn ahead<'a, I: Iterator<Item = Record<'a>>>(&mut self, records: impl FnOnce() -> I) {
        self.1.ahead(self.0, records());
    }
}

enum Stage {
    /// The beginning of the text, until it is enough to decide on the header.
    Head(Vec<u8>),
    Rows(Box<(HeadEnd, Records)>),
}

impl Reader {
    pub(super) fn new(given: Given) -> Self {
        Self {
            decoder: Decoder::new(given.format.format().encoding),
            stage: Stage::Head(Vec::new()),
            given,
        }
    }

    /// Returns `None` until enough was fed to decide on the header.
    pub(super) fn head(&self) -> Option<&HeadEnd> {
        match &self.stage {
            Stage::Head(_) => None,
            Stage::Rows(rows) => Some(&rows.0),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut impl RowSink) -> Result<(), FileError> {
        let (stage, given) = (&mut self.stage, &self.given);
        self.decoder.push(bytes, &mut |found, text| {
            stage.push(found, text, given, sink)
        })
    }

    pub(super) fn finish(self, sink: &mut impl RowSink) -> Result<HeadEnd, FileError> {
        let (mut stage, given) = (self.stage, self.given);
        let mut at_the_end = self.decoder.found();
        self.decoder.finish(&mut |found, text| {
            at_the_end = found;
            stage.push(found, text, &given, sink)
        })?;
        if let Stage::Head(head) = &mut stage {
            let head = std::mem::take(head);
            stage = Stage::after_header(at_the_end, &head, &given, sink)?;
        }
        let Stage::Rows(rows) = stage else {
            unreachable!("the header was found or an error returned");
        };
        let (head, records) = *rows;
        records.finish(EndOf::File, &mut WithLayout(&head.layout, sink));
        Ok(head)
    }
}

impl Stage {
    fn push(
        &mut self,
        found: (Encoding, u64),
        text: &[u8],
        given: &Given,
        sink: &mut impl RowSink,
    ) -> Result<(), FileError> {
        match self {
            Self::Rows(rows) => {
                let (head, records) = &mut **rows;
                records.push(text, &mut WithLayout(&head.layout, sink));
                head.text.push(text, records.are_ascii());
            }
            Self::Head(head) => {
                let lacking = header::ENOUGH_TEXT - head.len();
                let (taken, rest) = text.split_at(lacking.min(text.len()));
                head.extend_from_slice(taken);
                if head.len() == header::ENOUGH_TEXT {
                    let head = std::mem::take(head);
                    *self = Self::after_header(found, &head, given, sink)?;
                    return self.push(found, rest, given, sink);
                }
            }
        }
        Ok(())
    }

    fn after_header(
        found: (Encoding, u64),
        text: &[u8],
        given: &Given,
        sink: &mut impl RowSink,
    ) -> Result<Self, FileError> {
        let (mut head, end) = HeadEnd::find(found, text, &given.format)?;
        given.presumed.apply(&mut head.layout);
        let layout = &head.layout;
        let records = Records::new(layout.delimiter, layout.encoding, head.rows_start);
        let mut records = records.after(head.lines);
        records.push(&text[end..], &mut WithLayout(layout, sink));
        head.text.push(&text[end..], records.are_ascii());
        Ok(Self::Rows(Box::new((head, records))))
    }
}
