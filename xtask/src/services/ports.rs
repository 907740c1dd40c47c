//! Ports of this machine.

use std::net::{TcpListener, TcpStream};

use anyhow::{anyhow, ensure};

/// A port that a program is about to use.
pub struct Port<'a> {
    /// A port, or an address that ends with one.
    pub address: &'a str,
    /// What the port is for, as in "the web pages".
    pub what: &'a str,
    /// How another port is chosen, as in `WEB_ADDR=127.0.0.1:3001`.
    pub instead: &'a str,
}

/// Returns free ports, reserved together so that they differ.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut reserved = Vec::with_capacity(N);
    for _ in 0..N {
        reserved.push(TcpListener::bind(("127.0.0.1", 0))?);
    }
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&reserved) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// Returns whether something listens on a port of this machine.
pub fn is_taken(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Fails if another program uses the port.
pub fn require_free(port: &Port) -> anyhow::Result<()> {
    let number = port.address.rsplit(':').next().unwrap_or_default();
    let number: u16 = number
        .parse()
        .map_err(|_| anyhow!("{} has no port", port.address))?;
    ensure!(
        !is_taken(number),
        "port {number} ({}) is in use by another program; stop that, or choose another port: {} script/server",
        port.what,
        port.instead
    );
    Ok(())
}

/// Returns the address at which a client on this machine reaches a listener. `name` stands for this machine.
pub fn reachable(listener: &str, name: &str) -> String {
    match listener.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]" | "127.0.0.1" | "localhost", port)) => format!("{name}:{port}"),
        _ => listener.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    /// A process that another test is starting holds all open sockets for a moment. A single test, because two would take each other's ports.
    #[test]
    fn free_ports_can_be_used_and_others_are_refused() {
        let soon = |condition: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_secs(10);
            while !condition() {
                assert!(Instant::now() < deadline);
                thread::yield_now();
            }
        };
        let ports: [u16; 20] = free_ports().unwrap();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 20);
        soon(&|| !ports.iter().any(|port| is_taken(*port)));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let port = Port {
            address: &address,
            what: "the web pages",
            instead: "WEB_ADDR=127.0.0.1:3001",
        };
        let error = require_free(&port).unwrap_err().to_string();
        assert!(error.contains("(the web pages) is in use"), "{error}");
        assert!(error.ends_with("WEB_ADDR=127.0.0.1:3001 script/server"));
        drop(listener);
        soon(&|| require_free(&port).is_ok());
    }

    #[test]
    fn addresses_for_clients() {
        assert_eq!(reachable("0.0.0.0:3000", "localhost"), "localhost:3000");
        assert_eq!(reachable("[::]:80", "127.0.0.1"), "127.0.0.1:80");
        assert_eq!(reachable("192.168.1.2:80", "localhost"), "192.168.1.2:80");
    }
}
