//! Compares jobs with files in a remote object store and jobs with files on disk, in turn, and times pages of their rows.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use testkit::Transactions;

use super::{
    jobs::{megabytes, write},
    large::pages,
    report::{costs, heading, median, median_ratio, ratio, thousands},
    system::System,
};

/// The time that the store takes for a response.
pub const LATENCY: Duration = Duration::from_millis(20);

pub fn beside_disk(disk: &System, store: &System, rows: u64, rounds: usize) -> anyhow::Result<()> {
    let upload = disk.path("object-store.csv");
    let expected = write(&upload, &Transactions::new(rows).with_errors())?;
    let (mut on_disk, mut in_store) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        on_disk.push(disk.run_and_delete(&upload, &expected)?);
        in_store.push(store.run(&upload, &expected)?);
    }
    let times = [&in_store, &on_disk].map(|jobs| {
        let seconds = jobs.iter().map(|job| job.seconds);
        seconds.collect::<Vec<_>>()
    });
    let [store_times, disk_times] = &times;
    heading(format!(
        "{} rows, {:.0} MB, in an object store that takes {} ms for a response: {:.2} s",
        thousands(rows),
        megabytes(&upload)?,
        LATENCY.as_millis(),
        median(store_times.iter().copied())
    ));
    ratio(
        median_ratio(store_times, disk_times),
        format!(
            "of the same file on disk ({:.2} s)",
            median(disk_times.iter().copied())
        ),
    );
    costs(&in_store);
    match in_store.last() {
        Some(job) => pages(store, job),
        None => Ok(()),
    }
}

/// Listens in front of an object store, and delays every response, like a remote store.
pub fn delay(listener: TcpListener, store: u16) {
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(store) = TcpStream::connect(("127.0.0.1", store)) {
                // A connection that can't be duplicated is closed.
                let _ = connect(client, store);
            }
        }
    });
}

fn connect(client: TcpStream, store: TcpStream) -> io::Result<()> {
    let is_asked = Arc::new(AtomicBool::new(false));
    client.set_nodelay(true)?;
    store.set_nodelay(true)?;
    let (from_client, to_store) = (client.try_clone()?, store.try_clone()?);
    let asks = is_asked.clone();
    thread::spawn(move || {
        forward(from_client, to_store, || {
            asks.store(true, Ordering::Relaxed)
        })
    });
    thread::spawn(move || {
        forward(store, client, || {
            if is_asked.swap(false, Ordering::Relaxed) {
                thread::sleep(LATENCY);
            }
        })
    });
    Ok(())
}

fn forward(mut from: TcpStream, mut to: TcpStream, before_sending: impl Fn()) {
    let mut block = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut block) {
        before_sending();
        if to.write_all(&block[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
