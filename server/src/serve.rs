//! Serves a router over TCP. Replaces `axum::serve`, which has no timeouts and no limit on connections.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{connection::PatientStream, limits::Limits, peers::Peers};

/// How long to pause after the system had no resources for a new connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Serves until `shutdown` is cancelled, and then until every connection has finished its request.
///
/// `connections` holds one permit per allowed connection.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    connections: Arc<Semaphore>,
    peers: Peers,
    shutdown: CancellationToken,
) {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout())
        .max_header_size(limits.max_header_bytes);
    let open = TaskTracker::new();
    loop {
        let accepted = async {
            let permit = connections
                .clone()
                .acquire_owned()
                .await
                .expect("nobody closes it");
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        // Closed without a response, which would take as long as a request.
        let Ok(share) = peers.admit(peer.ip()) else {
            tracing::debug!(%peer, "too many connections from one address");
            continue;
        };
        // Fails if the client has already disconnected.
        let Ok(local) = stream.local_addr() else {
            continue;
        };
        let connection = connection(
            protocol.clone(),
            PatientStream::new(stream, limits.write_timeout()),
            (local, peer),
            router.clone(),
            peers.clone(),
            shutdown.clone(),
        );
        open.spawn(async move {
            connection.await;
            drop((permit, share));
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
}

async fn connection(
    protocol: http1::Builder,
    stream: PatientStream<TcpStream>,
    (local, peer): (SocketAddr, SocketAddr),
    router: Router,
    peers: Peers,
    shutdown: CancellationToken,
) {
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
        let ends = peers.ends(local, peer.ip(), request.headers());
        request.extensions_mut().insert(ends);
        request.map(Body::new)
    });
    let mut connection = pin!(
        protocol
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection broke off");
    }
}
