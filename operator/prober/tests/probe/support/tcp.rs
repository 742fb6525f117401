//! Servers of TCP.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A server that hands each connection to `talk`; it ends with the test's runtime.
pub(crate) async fn serve<F, T>(talk: F) -> SocketAddr
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    serve_at("127.0.0.1:0", talk).await
}

pub(crate) async fn serve_at<F, T>(address: &str, talk: F) -> SocketAddr
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream));
        }
    });
    address
}

/// A server that says `text` and keeps the connection.
pub(crate) async fn says(text: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.write_all(text).await;
        listen(stream).await;
    })
    .await
}

/// One that accepts and never says anything.
pub(crate) async fn silent() -> SocketAddr {
    says(b"").await
}

/// One that sends back what it gets.
pub(crate) async fn echo() -> SocketAddr {
    serve(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await
}

/// One that reads a request of HTTP up to its empty line, says `text` and keeps the connection.
pub(crate) async fn answers(text: impl Into<String>) -> SocketAddr {
    let text = text.into();
    serve(move |mut stream| {
        let text = text.clone();
        async move {
            if read_head(&mut stream).await {
                let _ = stream.write_all(text.as_bytes()).await;
                listen(stream).await;
            }
        }
    })
    .await
}

/// One that does the same over TLS, and then closes the connection without an end of TLS (close_notify).
pub(crate) async fn answers_and_breaks_off(acceptor: TlsAcceptor, text: &'static str) -> SocketAddr {
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            if read_head(&mut stream).await {
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.flush().await;
                let _ = stream.get_mut().0.shutdown().await;
            }
        }
    })
    .await
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// One that shakes hands and then says nothing.
pub(crate) async fn tls(acceptor: TlsAcceptor) -> SocketAddr {
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        }
    })
    .await
}

async fn listen(mut stream: TcpStream) {
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// An address on which nothing listens, and which nobody else gets.
pub(crate) struct Closed {
    pub(crate) address: SocketAddr,
    _bound: TcpSocket,
}

pub(crate) fn closed() -> Closed {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    Closed { address: socket.local_addr().unwrap(), _bound: socket }
}

/// A listener whose queue of connections is full, so that the kernel drops whoever asks for one more.
pub(crate) struct HalfOpen {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

pub(crate) async fn half_open() -> HalfOpen {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    // A connection that isn't there after the kernel sent its request twice (1 s) was dropped.
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(1500), TcpStream::connect(address)).await
    {
        queued.push(stream.unwrap());
        assert!(queued.len() < 64, "the queue of a listener never fills on this kernel");
    }
    HalfOpen { address, _listener: listener, _queued: queued }
}
