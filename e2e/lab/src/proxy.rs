//! The way from the root namespace to the apiserver: a listener on the machine's loopback whose connections are dialled inside the
//! control plane's namespace. Bytes pass unread, so TLS, `exec` and `port-forward` work through it.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::netns;

/// Listens, writes the port into `port_file`, and serves for ever.
///
/// # Errors
/// When it can't listen or enter the namespace.
pub fn run(netns: &str, target: SocketAddr, port_file: &Path) -> Result<()> {
    // A socket stays in the namespace it was made in: the listener in the root namespace, whatever comes after in the lab's.
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::system("listening on the loopback"))?;
    let port = listener.local_addr().map_err(Error::system("asking for the port"))?.port();
    netns::enter(&netns::path(netns))?;
    let new = port_file.with_extension("new");
    std::fs::write(&new, port.to_string()).map_err(Error::file("writing", &new))?;
    std::fs::rename(&new, port_file).map_err(Error::file("replacing", port_file))?;
    for client in listener.incoming().filter_map(std::result::Result::ok) {
        // Threads are born in this thread's namespace, so the apiserver is dialled from the lab.
        thread::spawn(move || {
            if let Err(error) = join(&client, target) {
                eprintln!("{target}: {error}");
            }
        });
    }
    Ok(())
}

fn join(client: &TcpStream, target: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect_timeout(&target, Duration::from_secs(10))?;
    for stream in [client, &server] {
        stream.set_nodelay(true)?;
    }
    thread::scope(|scope| {
        scope.spawn(|| carry(client, &server));
        carry(&server, client);
    });
    Ok(())
}

/// Copies until the end of one direction, and ends the other side's sending with it. A connection that breaks is its ends' affair.
fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
