//! Identifies uploaded files by their content, unpacks gzip and zip, and converts workbooks to CSV.
//!
//! **Invariant.** Pure: it reads and writes only through `std::io` and knows neither tokio nor the database nor HTTP.
//! The input is hostile: the size of the output is bounded by [`Limits`], and the memory for parsing by the address
//! space of the process in which [`run_child`] runs.
//!
//! ```text
//! run_child   the child process: arguments, resource limits, one line of JSON
//! run         a file in, a file out, an Outcome; catches panics of the parsers
//! unpack      gzip, zip                          convert_sheet   xlsx, xlsb, xls, ods
//! identify    what needs the whole file          sniff           what the first bytes show
//! Kind        Refusal: a sentence and a code for everything that is not a table
//! ```
//!
//! The content decides, not the name:
//!
//! ```
//! use container::{Kind, sniff};
//!
//! assert_eq!(sniff(b"id;amount\n1;2,50\n"), Kind::Text);
//! assert_eq!(sniff(b"%PDF-1.7\n"), Kind::Pdf);
//! assert_eq!(sniff(b"\x1f\x8b\x08\0"), Kind::Gzip);
//! ```

mod kind;
mod refusal;
mod sniff;
mod statement;

#[cfg(feature = "convert")]
mod cell;
#[cfg(feature = "convert")]
mod child;
#[cfg(feature = "convert")]
mod identify;
#[cfg(feature = "convert")]
mod raw_cells;
#[cfg(feature = "convert")]
mod run;
#[cfg(feature = "convert")]
mod unpack;
#[cfg(feature = "convert")]
mod workbook;

pub use kind::{Archive, Image, Kind};
pub use refusal::{Error, Refusal, Sheet, shown_name};
pub use sniff::{SNIFF_BYTES, sniff};

#[cfg(feature = "convert")]
pub use child::{MAX_OUTCOME_BYTES, run_child};
#[cfg(feature = "convert")]
pub use identify::{identify, sniff_zip};
#[cfg(feature = "convert")]
pub use run::{Converted, Outcome, Packing, Request, run};
#[cfg(feature = "convert")]
pub use unpack::{Limits, Unpacked, unpack};
#[cfg(feature = "convert")]
pub use workbook::{ConvertedSheet, convert_sheet, sheets};
