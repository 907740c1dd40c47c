//! A stored file from its beginning to its end: text, header, records.

use super::{
    FileError, Layout,
    decode::{Decoder, Encoding},
    header,
    records::{EndOf, Record, Records},
};

/// Takes a stored file in slices of any size and hands on each record after the header that is not
/// skipped. After an error nothing more may be fed.
pub(super) struct Reader {
    decoder: Decoder,
    stage: Stage,
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

    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        on_record: &mut impl FnMut(&Layout, &Record<'_>),
    ) -> Result<(), FileError> {
        let stage = &mut self.stage;
        self.decoder
            .push(bytes, &mut |found, text| stage.push(found, text, on_record))
    }

    pub(super) fn finish(
        self,
        on_record: &mut impl FnMut(&Layout, &Record<'_>),
    ) -> Result<Layout, FileError> {
        let mut stage = self.stage;
        let mut at_the_end = self.decoder.found();
        self.decoder.finish(&mut |found, text| {
            at_the_end = found;
            stage.push(found, text, on_record)
        })?;
        if let Stage::Head(head) = &mut stage {
            let head = std::mem::take(head);
            stage = Stage::after_header(at_the_end, &head, on_record)?;
        }
        let Stage::Rows(rows) = stage else {
            unreachable!("the header was found or an error returned");
        };
        let (layout, records) = *rows;
        records.finish(EndOf::File, &mut |record| on_record(&layout, record));
        Ok(layout)
    }
}

impl Stage {
    fn push(
        &mut self,
        found: (Encoding, u64),
        text: &[u8],
        on_record: &mut impl FnMut(&Layout, &Record<'_>),
    ) -> Result<(), FileError> {
        match self {
            Self::Rows(rows) => {
                let (layout, records) = &mut **rows;
                records.push(text, &mut |record| on_record(layout, record));
            }
            Self::Head(head) => {
                let lacking = header::ENOUGH_TEXT - head.len();
                let (taken, rest) = text.split_at(lacking.min(text.len()));
                head.extend_from_slice(taken);
                if head.len() == header::ENOUGH_TEXT {
                    let head = std::mem::take(head);
                    *self = Self::after_header(found, &head, on_record)?;
                    return self.push(found, rest, on_record);
                }
            }
        }
        Ok(())
    }

    fn after_header(
        (encoding, mark): (Encoding, u64),
        head: &[u8],
        on_record: &mut impl FnMut(&Layout, &Record<'_>),
    ) -> Result<Self, FileError> {
        let (layout, end) = header::find(encoding, head)?;
        let start = mark + encoding.stored_len(&head[..end]);
        let mut records = Records::new(layout.delimiter, encoding, start);
        records.push(&head[end..], &mut |record| on_record(&layout, record));
        Ok(Self::Rows(Box::new((layout, records))))
    }
}
