//! Writes generated files for scripts and browser tests, and prints as JSON what a job must find in them.

use std::{fs::File, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use serde_json::json;
use testkit::{Expected, INVALID_EVERY, Transactions, write_equal_ids, write_short_ids};

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Writes a file of transactions. Every 100th row is suspicious. Prints the expected result
    Transactions(TransactionsOptions),
    /// Writes a file in which all rows have the same id. Prints the expected result
    EqualIds(Sized),
    /// Writes a file with a new id every seven bytes. Prints the expected result
    ShortIds(Sized),
    /// Prints valid rows of files of transactions by their numbers
    Rows { numbers: Vec<u64> },
}

#[derive(Debug, Args)]
struct TransactionsOptions {
    path: PathBuf,
    #[arg(long)]
    rows: u64,
    /// Every 20th row is invalid, with all errors in turn
    #[arg(long)]
    errors: bool,
    /// No row is suspicious
    #[arg(long)]
    unsuspicious: bool,
}

#[derive(Debug, Args)]
struct Sized {
    path: PathBuf,
    /// The approximate size of the file
    #[arg(long)]
    bytes: u64,
}

/// What a job must find in a file.
#[derive(Serialize)]
struct Planted {
    #[serde(flatten)]
    expected: Expected,
    /// The numbers of invalid rows are the multiples of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid_every: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let printed = match Options::parse().task {
        Task::Transactions(options) => serde_json::to_string(&options.write()?)?,
        Task::EqualIds(Sized { path, bytes }) => {
            serde_json::to_string(&write_equal_ids(&mut File::create(path)?, bytes)?)?
        }
        Task::ShortIds(Sized { path, bytes }) => {
            serde_json::to_string(&write_short_ids(&mut File::create(path)?, bytes)?)?
        }
        Task::Rows { numbers } => {
            let rows = Transactions::new(0);
            let shown = numbers.into_iter().map(|number| {
                let row = rows.row(number);
                json!({"transaction_id": row.transaction_id, "description": row.description})
            });
            serde_json::to_string(&shown.collect::<Vec<_>>())?
        }
    };
    println!("{printed}");
    Ok(())
}

impl TransactionsOptions {
    fn write(&self) -> anyhow::Result<Planted> {
        let mut transactions = Transactions::new(self.rows);
        if self.errors {
            transactions = transactions.with_errors();
        }
        if self.unsuspicious {
            transactions = transactions.suspicious_every(0);
        }
        let mut file = File::create(&self.path)?;
        transactions.write(&mut file)?;
        Ok(Planted {
            expected: transactions.expected(),
            invalid_every: self.errors.then_some(INVALID_EVERY),
        })
    }
}
