//! Writes a file of transactions for scripts and browser tests, and prints as JSON what a job must find in it.

use std::{fs::File, path::PathBuf};

use clap::Parser;
use testkit::Transactions;

/// Writes a file of transactions. Every 100th row is suspicious. Prints the expected result
#[derive(Debug, Parser)]
struct Options {
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

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut transactions = Transactions::new(options.rows);
    if options.errors {
        transactions = transactions.with_errors();
    }
    if options.unsuspicious {
        transactions = transactions.suspicious_every(0);
    }
    transactions.write(&mut File::create(&options.path)?)?;
    println!("{}", serde_json::to_string(&transactions.expected())?);
    Ok(())
}
