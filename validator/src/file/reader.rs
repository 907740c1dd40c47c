//! A stored file from its beginning to its end: text, header, records.

use super::{
    FileError, Layout,
    decode::{Decoder, Encoding},
    header,
    record::Record,
    records::{EndOf, RecordSink, Records},
};

/// Takes a stored file in slices of any size and hands on each record after the header that is not
/// skipped. After an error nothing more may be fed.
pub(super) struct Reader {
    decoder: Decoder,
    stage: Stage,
}

/// Receives the records after the header as [`RecordSink`] does.
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
    Rows(Box<(Layout, Records)>),
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            stage: Stage::Head(Vec::new()),
        }
    }

    pub(super) fn layout(&self) -> Option<&Layout> {
        match &self.stage {
            Stage::Head(_) => None,
            Stage::Rows(rows) => Some(&rows.0),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut impl RowSink) -> Result<(), FileError> {
        let stage = &mut self.stage;
        self.decoder
            .push(bytes, &mut |found, text| stage.push(found, text, sink))
    }

    pub(super) fn finish(self, sink: &mut impl RowSink) -> Result<Layout, FileError> {
        let mut stage = self.stage;
        let mut at_the_end = self.decoder.found();
        self.decoder.finish(&mut |found, text| {
            at_the_end = found;
            stage.push(found, text, sink)
        })?;
        if let Stage::Head(head) = &mut stage {
            let head = std::mem::take(head);
            stage = Stage::after_header(at_the_end, &head, sink)?;
        }
        let Stage::Rows(rows) = stage else {
            unreachable!("the header was found or an error returned");
        };
        let (layout, records) = *rows;
        records.finish(EndOf::File, &mut WithLayout(&layout, sink));
        Ok(layout)
    }
}

impl Stage {
    fn push(
        &mut self,
        found: (Encoding, u64),
        text: &[u8],
        sink: &mut impl RowSink,
    ) -> Result<(), FileError> {
        match self {
            Self::Rows(rows) => {
                let (layout, records) = &mut **rows;
                records.push(text, &mut WithLayout(layout, sink));
            }
            Self::Head(head) => {
                let lacking = header::ENOUGH_TEXT - head.len();
                let (taken, rest) = text.split_at(lacking.min(text.len()));
                head.extend_from_slice(taken);
                if head.len() == header::ENOUGH_TEXT {
                    let head = std::mem::take(head);
                    *self = Self::after_header(found, &head, sink)?;
                    return self.push(found, rest, sink);
                }
            }
        }
        Ok(())
    }

    fn after_header(
        (encoding, mark): (Encoding, u64),
        head: &[u8],
        sink: &mut impl RowSink,
    ) -> Result<Self, FileError> {
        let (layout, end) = header::find(encoding, head)?;
        let start = mark + encoding.stored_len(&head[..end]);
        let mut records = Records::new(layout.delimiter, encoding, start);
        records.push(&head[end..], &mut WithLayout(&layout, sink));
        Ok(Self::Rows(Box::new((layout, records))))
    }
}
