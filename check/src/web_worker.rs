//! Runs in the web worker. It reads the file slice by slice, so the file may be larger than the memory.

use container::{Kind, Refusal, SNIFF_BYTES, sniff};
use validator::{
    Candidate, Checked, Checker, CompletedFormat, Counts, CsvForm, Encoding, EncodingProbe,
    EncodingProof, Examples, FileError, Format, HEADER_BYTES, InvalidFormat, Layout,
    PossibleHeader, Presumed, RowFilter, is_download, possible_saved_headers,
};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use web_sys::{
    Blob, DedicatedWorkerGlobalScope, File, FileReaderSync, Performance, UrlSearchParams,
    js_sys::{Array, Uint8Array, global},
};

use crate::{
    Asked, Failure, MAX_KEPT_BYTES, Message, Problem, Progress, Report, facts::facts, form,
};

/// The check ends after this number of rows. Their ids take up to a gigabyte, and WebAssembly has four.
const MAX_ROWS: u64 = 25_000_000;

/// The number of bytes read at once.
const SLICE: f64 = (1 << 21) as f64;

/// The minimum time between two progress messages, in milliseconds.
const INTERVAL: f64 = 150.0;

/// The number of bytes of kept rows passed to the browser at once.
const PART: usize = 1 << 20;

/// Checks a file and posts the result. `keep` is a [`RowFilter`], `format` the format given for the file so far, as
/// JSON, and `answers` the answers that a form added, as a URL query. `saved` lists the user's saved formats in the
/// form of the API, and `chosen` is the name of one of them.
#[wasm_bindgen]
pub fn check_file(
    file: &File,
    keep: Option<String>,
    format: Option<String>,
    answers: Option<String>,
    saved: Option<String>,
    chosen: Option<String>,
) {
    console_error_panic_hook::set_once();
    let scope: DedicatedWorkerGlobalScope = global().unchecked_into();
    let keep = keep.and_then(|filter| filter.parse().ok());
    let checked =
        given(&format.unwrap_or_default(), &answers.unwrap_or_default()).and_then(|given| {
            let saved = Saved::parse(&saved.unwrap_or_default());
            let format = complete(file, &given, &saved, chosen.as_deref())?;
            check(&scope, file, keep, &given, &format)
        });
    let message = match checked {
        Ok((report, kept)) => {
            if let Some(rows) = kept {
                post(&scope, &rows);
            }
            Message::Done(Box::new(report))
        }
        Err(failure) => Message::Failed(failure),
    };
    post_message(&scope, &message);
}

fn post_message(scope: &DedicatedWorkerGlobalScope, message: &Message) {
    let json = serde_json::to_string(message).expect("a message has no map with odd keys");
    post(scope, &json.into());
}

fn post(scope: &DedicatedWorkerGlobalScope, data: &JsValue) {
    scope
        .post_message(data)
        .expect("texts and blobs can be posted");
}

/// Posts how the rows that a question shows are read. `question` is the one in the form, and `answers` are the form's
/// answers as a URL query.
#[wasm_bindgen]
pub fn read_shown(question: &str, answers: &str) {
    console_error_panic_hook::set_once();
    let scope: DedicatedWorkerGlobalScope = global().unchecked_into();
    let reads = form::Reads::of_page(question, &pairs(answers));
    post_message(&scope, &Message::Reads(reads));
}

/// Returns the format given for the file: the answers, on top of what was given before.
fn given(format: &str, answers: &str) -> Result<Format, Failure> {
    let before = Format::from_json(format).map_err(invalid)?;
    Ok(form::answers(&pairs(answers)).map_err(invalid)?.or(&before))
}

/// Returns the names and values of a URL query.
fn pairs(query: &str) -> Vec<(String, String)> {
    UrlSearchParams::new_with_str(query)
        .map(|query| {
            let pairs = query.entries().into_iter().flatten();
            let pairs = pairs.map(|pair| Array::from(&pair));
            let text = |value: JsValue| value.as_string().unwrap_or_default();
            pairs
                .map(|pair| (text(pair.get(0)), text(pair.get(1))))
                .collect()
        })
        .unwrap_or_default()
}

fn invalid(error: InvalidFormat) -> Failure {
    Failure::Invalid(error.to_string())
}

/// A saved format of the user.
struct Saved {
    name: String,
    header: Option<Vec<String>>,
    format: Format,
}

impl Saved {
    /// Omits formats that can't be parsed. Processing applies them, or reports what is wrong.
    fn parse(list: &str) -> Vec<Self> {
        let list: Vec<serde_json::Value> = serde_json::from_str(list).unwrap_or_default();
        let saved = list.into_iter().filter_map(|mut saved| {
            Some(Self {
                name: saved["name"].as_str()?.to_owned(),
                header: serde_json::from_value(saved["header"].take()).ok()?,
                format: Format::from_value(&saved["format"]).ok()?,
            })
        });
        saved.collect()
    }
}

/// Completes the given format from the saved format that is chosen, or that was saved for the file's header.
fn complete(
    file: &File,
    given: &Format,
    saved: &[Saved],
    chosen: Option<&str>,
) -> Result<CompletedFormat, Failure> {
    if saved.is_empty() {
        return Ok(given.clone().into());
    }
    let mut slices = Slices::new(file)?;
    let head = slices
        .next()
        .map_err(|_| Failure::Unreadable)?
        .unwrap_or_default();
    let head = &head[..head.len().min(HEADER_BYTES)];
    let found = match chosen.filter(|name| !name.is_empty()) {
        Some(name) => {
            let chosen = saved.iter().find(|saved| saved.name == name);
            chosen.map(|saved| saved.format.clone())
        }
        None => by_header(head, given, saved),
    };
    let Some(mut found) = found else {
        return Ok(given.clone().into());
    };
    if is_download(head) {
        found = found.for_download();
    }
    if let Some(encoding) = found.encoding
        && given.encoding.is_none()
        && is_in_another(file, encoding)?
    {
        found.encoding = None;
    }
    Ok(CompletedFormat::new(given.clone(), &found))
}

/// Returns whether the file proves that it isn't in this encoding.
fn is_in_another(file: &File, encoding: Encoding) -> Result<bool, Failure> {
    let mut proof = EncodingProof::against(encoding);
    let mut slices = Slices::new(file)?;
    while proof.is_open()
        && let Some(slice) = slices.next().map_err(|_| Failure::Unreadable)?
    {
        proof.push(slice);
    }
    Ok(proof.finish())
}

/// Returns the format that was saved for one of the headers that the file may have.
fn by_header(head: &[u8], given: &Format, saved: &[Saved]) -> Option<Format> {
    let with_header = || saved.iter().filter(|saved| saved.header.is_some());
    let label = |saved: &Saved| {
        saved
            .format
            .encoding
            .map(|it| it.label())
            .unwrap_or_default()
    };
    let mut labels: Vec<String> = with_header().map(label).collect();
    labels.sort();
    labels.dedup();
    let headers = possible_saved_headers(head, given, &labels);
    let found = headers.iter().find_map(|header| {
        let saved = with_header().find(|saved| saved.header.as_ref() == Some(&header.names))?;
        Some(header.complete(&saved.format))
    });
    found.or_else(|| {
        let is_headless =
            |saved: &&Saved| saved.header.is_none() && saved.format.header == Some(false);
        let mut headless = saved.iter().filter(is_headless);
        let only = headless.next().filter(|_| headless.next().is_none())?;
        let is_of_headless = headers.iter().any(PossibleHeader::is_of_headless);
        is_of_headless.then(|| only.format.clone())
    })
}

fn check(
    scope: &DedicatedWorkerGlobalScope,
    file: &File,
    keep: Option<RowFilter>,
    given: &Format,
    format: &CompletedFormat,
) -> Result<(Report, Option<Blob>), Failure> {
    let clock = Clock::start(scope)?;
    if let Some(failure) = not_text(file)? {
        return Err(failure);
    }
    let hash_key = random(scope)?;
    let mut presumed = Presumed::default();
    'again: loop {
        let mut checker = Checker::new(hash_key, format.clone(), presumed);
        let mut gathered = Gathered::new(keep);
        let mut slices = Slices::new(file)?;
        let mut posted_at = 0.0;
        let mut is_first = true;
        while let Some(slice) = slices.next().map_err(|_| Failure::Unreadable)? {
            if let Err(error) = checker.push(slice, &mut |row| gathered.add(row)) {
                return Err(refused(error, file, given, format.format()));
            }
            // Later rows are unlikely to contradict what the first rows prove.
            if let Some(proved) = checker.contradiction() {
                presumed = proved;
                continue 'again;
            }
            let counts = checker.counts();
            if std::mem::take(&mut is_first) && counts.processed > 0 {
                let most = MAX_ROWS as f64 / counts.processed as f64;
                checker.make_room((file.size() / slices.read).min(most));
            }
            if gathered.is_full() {
                return Err(Failure::TooLarge);
            }
            if counts.processed >= MAX_ROWS {
                break;
            }
            if clock.milliseconds() >= posted_at + INTERVAL {
                posted_at = clock.milliseconds();
                post_message(scope, &Message::Progress(clock.progress(&slices, counts)));
            }
        }

        let is_whole = slices.is_at_end();
        let (layout, decisions, summary) = if is_whole {
            match checker.finish(&mut |row| gathered.add(row)) {
                Ok(Checked::Done(done)) => {
                    let (layout, reading, summary) = *done;
                    (layout, reading.decisions, summary)
                }
                Ok(Checked::Again(proved)) => {
                    presumed = proved;
                    continue;
                }
                Err(error) => return Err(refused(error, file, given, format.format())),
            }
        } else if keep.is_some() {
            return Err(Failure::TooLarge);
        } else {
            let layout = checker.layout().cloned();
            let summary = checker.summary();
            (layout.ok_or(Failure::Broken)?, Vec::new(), summary)
        };
        let kept = gathered.kept.map(|kept| kept.finish(&layout)).transpose()?;
        let report = Report {
            progress: clock.progress(&slices, summary.counts),
            problems: gathered
                .examples
                .ranked(&summary.problems)
                .map(|(code, rows, examples)| Problem {
                    title: code.title().to_owned(),
                    rows,
                    examples,
                })
                .collect(),
            facts: facts(&layout, &decisions, &summary),
            is_whole,
            format: given.to_value().to_string(),
        };
        return Ok((report, kept));
    }
}

/// Returns the failure for a file that isn't text.
fn not_text(file: &File) -> Result<Option<Failure>, Failure> {
    let mut slices = Slices::new(file)?;
    let beginning = slices.next().map_err(|_| Failure::Unreadable)?;
    let Some(beginning) = beginning else {
        return Ok(None);
    };
    let kind = sniff(&beginning[..beginning.len().min(SNIFF_BYTES)]);
    Ok(match kind {
        Kind::Text => None,
        _ if kind.is_packed() || kind.is_workbook() => Some(Failure::Unpacked(format!(
            "This is {}. It is unpacked and checked once it is uploaded.",
            kind.name()
        ))),
        _ => Some(Failure::Refused(Refusal::Kind(kind).to_string())),
    })
}

fn refused(error: FileError, file: &File, given: &Format, format: &Format) -> Failure {
    let error = match error.questions() {
        [] => error,
        _ => with_encoding(error, file, format),
    };
    match error.questions() {
        [] => Failure::Refused(error.to_string()),
        questions => Failure::Asked(Asked {
            sentence: error.to_string(),
            fields: form::fields(questions, "answer", &[]),
            format: given.to_value().to_string(),
        }),
    }
}

/// Adds the question for the encoding to the error if the encoding isn't known either.
fn with_encoding(error: FileError, file: &File, format: &Format) -> FileError {
    let mut probe = EncodingProbe::new(format);
    let Ok(mut slices) = Slices::new(file) else {
        return error;
    };
    while let Ok(Some(slice)) = slices.next() {
        probe.push(slice);
    }
    probe.finish(error)
}

fn random(scope: &DedicatedWorkerGlobalScope) -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    scope
        .crypto()
        .and_then(|crypto| crypto.get_random_values_with_u8_array(&mut bytes))
        .map_err(|_| Failure::Broken)?;
    Ok(bytes)
}

struct Clock {
    performance: Performance,
    start: f64,
}

impl Clock {
    fn start(scope: &DedicatedWorkerGlobalScope) -> Result<Self, Failure> {
        let performance = scope.performance().ok_or(Failure::Broken)?;
        let start = performance.now();
        Ok(Self { performance, start })
    }

    fn milliseconds(&self) -> f64 {
        self.performance.now() - self.start
    }

    fn progress(&self, slices: &Slices<'_>, counts: Counts) -> Progress {
        Progress {
            bytes: slices.read as u64,
            seconds: self.milliseconds() / 1000.0,
            counts,
        }
    }
}

/// Reads a file from its beginning to its end.
struct Slices<'a> {
    file: &'a File,
    reader: FileReaderSync,
    size: f64,
    read: f64,
    bytes: Vec<u8>,
}

impl<'a> Slices<'a> {
    fn new(file: &'a File) -> Result<Self, Failure> {
        Ok(Self {
            file,
            reader: FileReaderSync::new().map_err(|_| Failure::Broken)?,
            size: file.size(),
            read: 0.0,
            bytes: Vec::new(),
        })
    }

    fn is_at_end(&self) -> bool {
        self.read >= self.size
    }

    fn next(&mut self) -> Result<Option<&[u8]>, JsValue> {
        if self.is_at_end() {
            return Ok(None);
        }
        let end = (self.read + SLICE).min(self.size);
        let slice = self.file.slice_with_f64_and_f64(self.read, end)?;
        let slice = Uint8Array::new(&self.reader.read_as_array_buffer(&slice)?.into());
        self.bytes.resize(slice.length() as usize, 0);
        slice.copy_to(&mut self.bytes);
        self.read = end;
        Ok(Some(&self.bytes))
    }
}

/// What is collected from the rows.
struct Gathered {
    examples: Examples,
    kept: Option<Kept>,
}

impl Gathered {
    fn new(keep: Option<RowFilter>) -> Self {
        Self {
            examples: Examples::default(),
            kept: keep.map(Kept::new),
        }
    }

    fn add(&mut self, row: &mut Candidate<'_>) {
        self.examples.add(row);
        if let Some(kept) = &mut self.kept {
            kept.add(row);
        }
    }

    fn is_full(&self) -> bool {
        self.kept.as_ref().is_some_and(Kept::is_full)
    }
}

/// `results.csv` of the rows that match a filter, in parts, so that it never has to be reallocated.
struct Kept {
    filter: RowFilter,
    /// Of `Uint8Array`.
    parts: Array,
    part: Vec<u8>,
    bytes: u64,
}

impl Kept {
    fn new(filter: RowFilter) -> Self {
        Self {
            filter,
            parts: Array::new(),
            part: Vec::new(),
            bytes: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.bytes > MAX_KEPT_BYTES
    }

    fn add(&mut self, row: &mut Candidate<'_>) {
        if self.is_full() || !self.filter.matches(row.verdict()) {
            return;
        }
        self.begin(row.layout());
        row.write_csv(CsvForm::PLAIN, &mut self.part);
        if self.part.len() >= PART {
            self.end_part();
        }
    }

    fn begin(&mut self, layout: &Layout) {
        if self.bytes == 0 && self.part.is_empty() {
            CsvForm::PLAIN.write_header(layout, &mut self.part);
        }
    }

    fn end_part(&mut self) {
        self.bytes += self.part.len() as u64;
        self.parts.push(&Uint8Array::from(&self.part[..]));
        self.part.clear();
    }

    fn finish(mut self, layout: &Layout) -> Result<Blob, Failure> {
        self.begin(layout);
        self.end_part();
        if self.is_full() {
            return Err(Failure::TooLarge);
        }
        Blob::new_with_u8_array_sequence(&self.parts).map_err(|_| Failure::Broken)
    }
}
