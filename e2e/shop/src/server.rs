//! The serving side: accepts and answers, in overload neither of them as it should.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::mode::Mode;
use crate::stats::Stats;
use crate::wire;

const MAX_CONNECTIONS: usize = 1024;
/// What a request on an open connection waits for while the service is overloaded.
const OVERLOAD_DELAY: Duration = Duration::from_millis(400);
/// Between two connections that an overloaded service accepts: fewer than come, so that the backlog is full, but
/// not none, as it would be of a service that hangs.
const OVERLOAD_ACCEPT_INTERVAL: Duration = Duration::from_secs(1);

/// Listens with a backlog of its own choosing.
pub fn listen(address: SocketAddr, backlog: u32) -> anyhow::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.context("no socket to listen on")?;
    socket.set_reuseaddr(true).context("SO_REUSEADDR")?;
    socket.bind(address).with_context(|| format!("{address} can't be bound"))?;
    socket.listen(backlog).with_context(|| format!("{address} can't be listened on"))
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, mut mode: watch::Receiver<Mode>, stats: Arc<Stats>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match accept(&listener, &mut mode).await {
            Ok(stream) => {
                stats.accepted.fetch_add(1, Relaxed);
                let (mode, stats) = (mode.clone(), Arc::clone(&stats));
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, mode, &stats).await {
                        stats.server_errors.fetch_add(1, Relaxed);
                        tracing::debug!(%error, "connection ended");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The next connection, in overload not before its turn.
async fn accept(listener: &TcpListener, mode: &mut watch::Receiver<Mode>) -> std::io::Result<TcpStream> {
    if *mode.borrow_and_update() == Mode::Overload {
        let normal_again = mode.wait_for(|mode| *mode == Mode::Normal);
        let _ = tokio::time::timeout(OVERLOAD_ACCEPT_INTERVAL, normal_again).await;
    }
    listener.accept().await.map(|(stream, _)| stream)
}

async fn answer(stream: TcpStream, mode: watch::Receiver<Mode>, stats: &Stats) -> anyhow::Result<()> {
    stream.set_nodelay(true).context("TCP_NODELAY")?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = wire::read_request(&mut stream).await? {
        if *mode.borrow() == Mode::Overload {
            tokio::time::sleep(OVERLOAD_DELAY).await;
        }
        wire::write_response(&mut stream, request.response_bytes).await?;
        stats.served.fetch_add(1, Relaxed);
    }
    Ok(())
}
