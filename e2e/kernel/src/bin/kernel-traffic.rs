//! Makes TCP traffic on command: a line a command on standard input, a line an answer.
//!
//! `listen ADDR` · `stall ADDR` (accepts and reads nothing) · `connect NAME ADDR [from ADDR]` · `begin NAME ADDR`
//! (a connect that nobody waits for) · `try ADDR MS` · `request NAME OUT IN` · `pour NAME BYTES` · `close NAME` · `abort NAME` · `share NAME` · `many N ADDR OUT IN` ·
//! `keep N ADDR` · `requests N` · `reset-peers N` (once so many are accepted)

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};

const LIMIT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Process {
    connections: HashMap<String, TcpStream>,
    kept: Vec<TcpStream>,
    peers: Arc<Mutex<Vec<TcpStream>>>,
    sharers: Vec<Child>,
}

fn main() -> Result<()> {
    if let Some(cgroup) = std::env::args().nth(1) {
        std::fs::write(format!("{cgroup}/cgroup.procs"), std::process::id().to_string())
            .with_context(|| format!("could not enter the cgroup {cgroup}"))?;
    }
    let mut process = Process::default();
    for line in io::stdin().lock().lines() {
        match process.obey(&line?) {
            Ok(answer) => println!("ok {answer}"),
            Err(error) => println!("error {error:#}"),
        }
    }
    for mut sharer in process.sharers {
        let _ = sharer.kill();
        let _ = sharer.wait();
    }
    Ok(())
}

impl Process {
    fn obey(&mut self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["hello"] => {}
            ["listen", address] => self.listen(address, false)?,
            ["stall", address] => self.listen(address, true)?,
            ["connect", name, address] => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(LIMIT))?;
                self.connections.insert((*name).to_owned(), stream);
            }
            ["connect", name, address, "from", local] => {
                self.connections.insert((*name).to_owned(), connect_from(address, local)?);
            }
            ["begin", name, address] => {
                self.connections.insert((*name).to_owned(), begin(&address.parse()?)?);
            }
            ["try", address, milliseconds] => {
                let limit = Duration::from_millis(milliseconds.parse()?);
                drop(TcpStream::connect_timeout(&address.parse()?, limit)?);
            }
            ["request", name, out, back] => request(self.named(name)?, out.parse()?, back.parse()?)?,
            ["pour", name, bytes] => self.named(name)?.write_all(&vec![7; bytes.parse()?])?,
            ["close", name] => drop(self.connections.remove(*name).context("no such connection")?),
            ["abort", name] => abort(self.connections.remove(*name).context("no such connection")?)?,
            ["share", name] => {
                let copy = nix::unistd::dup(self.named(name)?)?;
                self.sharers.push(Command::new("sleep").arg("60").spawn()?);
                drop(copy);
            }
            ["many", n, address, out, back] => many(n.parse()?, address, out.parse()?, back.parse()?)?,
            ["keep", n, address] => {
                for _ in 0..n.parse::<usize>()? {
                    self.kept.push(TcpStream::connect(address)?);
                }
            }
            ["requests", n] => {
                for _ in 0..n.parse::<usize>()? {
                    for stream in &self.kept {
                        request(stream, 100, 100)?;
                    }
                }
            }
            ["reset-peers", n] => {
                for peer in self.accepted_peers(n.parse()?)? {
                    abort(peer)?;
                }
            }
            _ => bail!("unknown command"),
        }
        Ok(String::new())
    }

    fn named(&self, name: &str) -> Result<&TcpStream> {
        self.connections.get(name).with_context(|| format!("no connection {name}"))
    }

    /// Waits for the `n` connections that `stall` accepts on a thread of its own.
    fn accepted_peers(&self, n: usize) -> Result<Vec<TcpStream>> {
        let begun = Instant::now();
        loop {
            let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
            if peers.len() >= n {
                return Ok(std::mem::take(&mut *peers));
            }
            ensure!(begun.elapsed() < LIMIT, "only {} of {n} were accepted within {LIMIT:?}", peers.len());
            drop(peers);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn listen(&self, address: &str, stall: bool) -> Result<()> {
        let listener = TcpListener::bind(address)?;
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(4096)?)?;
        let peers = self.peers.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stall {
                    peers.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
                } else {
                    accepted(stream);
                }
            }
        });
        Ok(())
    }
}

/// Serves a connection on a thread of its own, which is small since there may be thousands.
fn accepted(stream: TcpStream) {
    let serve = move || while serve_request(&stream).unwrap_or(false) {};
    let _ = std::thread::Builder::new().stack_size(64 * 1024).spawn(serve);
}

/// Reads a request (8 bytes with the sizes of the rest and of the answer, then the rest) and answers it. Returns false
/// at the end of the stream.
fn serve_request(mut stream: &TcpStream) -> Result<bool> {
    let mut header = [0; 8];
    if stream.read(&mut header[..1])? == 0 {
        return Ok(false);
    }
    stream.read_exact(&mut header[1..])?;
    let number =
        |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    io::copy(&mut stream.take(u64::from(number(0))), &mut io::sink())?;
    write_bytes(stream, number(4))?;
    Ok(true)
}

fn request(mut stream: &TcpStream, out: u32, back: u32) -> Result<()> {
    let rest = out.saturating_sub(8);
    let mut header = [rest.to_be_bytes(), back.to_be_bytes()].concat();
    header.extend(vec![7; rest as usize]);
    stream.write_all(&header)?;
    let read = io::copy(&mut stream.take(u64::from(back)), &mut io::sink())?;
    if read != u64::from(back) {
        bail!("{read} bytes of {back} came back");
    }
    Ok(())
}

fn write_bytes(mut stream: &TcpStream, bytes: u32) -> Result<()> {
    stream.write_all(&vec![7; bytes as usize]).map_err(Into::into)
}

fn many(n: usize, address: &str, out: u32, back: u32) -> Result<()> {
    for _ in 0..n {
        let stream = TcpStream::connect(address)?;
        request(&stream, out, back)?;
    }
    Ok(())
}

fn connect_from(address: &str, local: &str) -> Result<TcpStream> {
    let (address, local): (SocketAddr, SocketAddr) = (address.parse()?, local.parse()?);
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    let raw = std::os::fd::AsRawFd::as_raw_fd(&fd);
    bind(raw, &SockaddrStorage::from(local))?;
    connect(raw, &SockaddrStorage::from(address))?;
    Ok(TcpStream::from(fd))
}

/// A connection attempt that goes on by itself, as long as the kernel tries.
fn begin(address: &SocketAddr) -> Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    match connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrStorage::from(*address)) {
        Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => Ok(TcpStream::from(fd)),
        Err(error) => Err(error.into()),
    }
}

fn abort(stream: TcpStream) -> Result<()> {
    setsockopt(&stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 })?;
    drop(stream);
    Ok(())
}
