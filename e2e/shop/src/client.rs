//! The calling side: each upstream is called at its own rate, whatever becomes of the others.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::resolve::Target;
use crate::stats::{Failure, Stats};
use crate::upstream::{ConnectionMode, Upstream};
use crate::wire::{self, RequestHeader, WireError};

/// Long enough for SYN retransmissions at 1 and 3 s.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Short connections to one upstream that may be under way at a time.
const MAX_SHORT: usize = 32;
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(2);

/// Starts calling `upstream`; never ends.
pub fn start(upstream: Upstream, stats: Arc<Stats>) {
    let caller = Arc::new(Caller { target: Target::new(upstream.address.clone()), upstream, stats });
    match caller.upstream.mode {
        ConnectionMode::KeepAlive => {
            for worker in 0..caller.upstream.connections {
                tokio::spawn(Arc::clone(&caller).keep_alive(worker));
            }
        }
        ConnectionMode::Short => {
            tokio::spawn(caller.short());
        }
    }
}

#[derive(Debug)]
struct Caller {
    upstream: Upstream,
    target: Target,
    stats: Arc<Stats>,
}

type Connection = BufReader<TcpStream>;

impl Caller {
    /// One connection of the pool: dialled again when it breaks, ever more slowly while that fails.
    async fn keep_alive(self: Arc<Self>, worker: u16) {
        let interval = self.interval(f64::from(self.upstream.connections));
        // The workers of a pool don't call in step.
        tokio::time::sleep(interval.mul_f64(f64::from(worker) / f64::from(self.upstream.connections))).await;
        let mut jitter = Jitter::new();
        let mut connection: Option<Connection> = None;
        let mut retry = RETRY_FIRST;
        loop {
            let outcome = match connection.take() {
                Some(open) => Ok(open),
                None => self.connect().await,
            };
            let outcome = match outcome {
                Ok(open) => self.request(open).await,
                Err(failure) => Err(failure),
            };
            let pause = match outcome {
                Ok(open) => {
                    connection = Some(open);
                    retry = RETRY_FIRST;
                    interval
                }
                Err(failure) => {
                    self.stats.failed(&self.upstream.name, failure);
                    let pause = retry.max(interval);
                    retry = (retry * 2).min(RETRY_MOST);
                    pause
                }
            };
            tokio::time::sleep(jitter.around(pause)).await;
        }
    }

    /// A connection a request; no retries, the next request is one.
    async fn short(self: Arc<Self>) {
        let interval = self.interval(1.0);
        let mut jitter = Jitter::new();
        let under_way = Arc::new(Semaphore::new(MAX_SHORT));
        loop {
            tokio::time::sleep(jitter.around(interval)).await;
            let Ok(slot) = Arc::clone(&under_way).try_acquire_owned() else {
                self.stats.failed(&self.upstream.name, Failure::Shed);
                continue;
            };
            let caller = Arc::clone(&self);
            tokio::spawn(async move {
                let outcome = match caller.connect().await {
                    Ok(connection) => caller.request(connection).await.map(drop),
                    Err(failure) => Err(failure),
                };
                if let Err(failure) = outcome {
                    caller.stats.failed(&caller.upstream.name, failure);
                }
                drop(slot);
            });
        }
    }

    fn interval(&self, workers: f64) -> Duration {
        Duration::from_secs_f64(workers / self.upstream.requests_per_second)
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let address = self.target.next().await.map_err(|_| Failure::Resolve)?;
        let stream = timeout(CONNECT_LIMIT, TcpStream::connect(address))
            .await
            .map_err(|_| Failure::ConnectTimeout)?
            .map_err(|error| failure_of(&error))?;
        stream.set_nodelay(true).map_err(|error| failure_of(&error))?;
        self.stats.connected(&self.upstream.name);
        Ok(BufReader::new(stream))
    }

    async fn request(&self, mut connection: Connection) -> Result<Connection, Failure> {
        let header = RequestHeader {
            body_bytes: self.upstream.request_bytes,
            response_bytes: self.upstream.response_bytes,
        };
        let started = Instant::now();
        let exchange = async {
            wire::write_request(&mut connection, header).await?;
            wire::read_response(&mut connection).await
        };
        match timeout(REQUEST_LIMIT, exchange).await {
            Err(_) => Err(Failure::RequestTimeout),
            Ok(Err(WireError::Io(error))) => Err(failure_of(&error)),
            Ok(Err(WireError::TooLong(_))) => Err(Failure::Other),
            Ok(Ok(_)) => {
                self.stats.answered(&self.upstream.name, started.elapsed());
                Ok(connection)
            }
        }
    }
}

fn failure_of(error: &std::io::Error) -> Failure {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Failure::Refused,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => {
            Failure::Reset
        }
        Kind::TimedOut => Failure::ConnectTimeout,
        _ => Failure::Other,
    }
}

/// Spreads requests without a random number generator's dependency: splitmix64, seeded by the hash map's keys.
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    /// Between a half and one and a half of `mean`.
    fn around(&mut self, mean: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let unit = (mixed >> 11) as f64 / (1u64 << 53) as f64;
        mean.mul_f64(0.5 + unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_around_its_mean() {
        let mut jitter = Jitter::new();
        let mean = Duration::from_millis(100);
        let draws: Vec<_> = (0..1000).map(|_| jitter.around(mean)).collect();
        assert!(draws.iter().all(|draw| (50..=150).contains(&draw.as_millis())));
        let sum: Duration = draws.iter().sum();
        assert!((sum / 1000).as_millis().abs_diff(100) < 5);
    }
}
