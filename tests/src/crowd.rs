//! A crowd of connections that take places and send next to nothing.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Handshakes at a time: more would overflow what the system keeps of them.
const AT_ONCE: usize = 64;
/// How often a slow one sends a byte.
const DRIP: Duration = Duration::from_secs(1);
/// Open files that this program needs besides the crowd's.
const OTHERS: u64 = 100;

const HEAD: &[u8] = b"POST /v1/alerts HTTP/1.1\r\nHost: test\r\nX-Slow: ";
const BODY: &[u8] = b"POST /v1/alerts HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
      Content-Length: 1000000\r\n\r\n{";

/// What one of a crowd does.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Sends nothing.
    Idle,
    /// Sends a head, a byte a second.
    SlowHead,
    /// Sends a body, a byte a second.
    SlowBody,
}

/// Connections that are held until the other side closes them: half of them idle, a
/// quarter with a slow head, a quarter with a slow body.
#[derive(Debug)]
pub struct Crowd {
    runtime: Runtime,
    members: JoinSet<()>,
}

impl Crowd {
    /// Connects so many times.
    ///
    /// # Errors
    /// One line: more files would be open than this program may have, or nobody listens.
    pub fn gather(address: SocketAddr, count: usize) -> Result<Self, String> {
        allow_files(count as u64 + OTHERS)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let members = runtime
            .block_on(connect(address, count))
            .map_err(|error| format!("cannot connect {count} times to {address}: {error}"))?;
        Ok(Self { runtime, members })
    }

    /// How many the other side has not closed.
    pub fn held(&mut self) -> usize {
        while self.members.try_join_next().is_some() {}
        self.members.len()
    }

    /// Waits until the other side has closed all; gives how many it has not in that time.
    pub fn outlast(mut self, limit: Duration) -> usize {
        let members = &mut self.members;
        self.runtime.block_on(async {
            let all_closed = async { while members.join_next().await.is_some() {} };
            let _ = timeout(limit, all_closed).await;
            members.len()
        })
    }
}

/// Lets this program open so many files.
fn allow_files(count: u64) -> Result<(), String> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    if let Some(maximum) = limit.maximum.filter(|maximum| *maximum < count) {
        return Err(format!(
            "{count} open files are needed and {maximum} allowed; raise the limit (ulimit -Hn) or name fewer connections"
        ));
    }
    limit.current = Some(count);
    setrlimit(Resource::Nofile, limit).map_err(|error| error.to_string())
}

async fn connect(address: SocketAddr, count: usize) -> io::Result<JoinSet<()>> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut connecting = JoinSet::new();
    for number in 0..count {
        let turns = turns.clone();
        connecting.spawn(async move {
            let _turn = turns.acquire_owned().await;
            let manner = match number % 4 {
                0 | 1 => Manner::Idle,
                2 => Manner::SlowHead,
                _ => Manner::SlowBody,
            };
            let mut stream = TcpStream::connect(address).await?;
            let begin = match manner {
                Manner::Idle => b"",
                Manner::SlowHead => HEAD,
                Manner::SlowBody => BODY,
            };
            // It may be closed already: then it is noticed where it is held.
            let _ = stream.write_all(begin).await;
            Ok::<_, io::Error>((stream, manner))
        });
    }
    let mut members = JoinSet::new();
    while let Some(connected) = connecting.join_next().await {
        let (stream, manner) = connected.map_err(io::Error::other)??;
        members.spawn(hold(stream, manner));
    }
    Ok(members)
}

/// Until the other side closes it.
async fn hold(mut stream: TcpStream, manner: Manner) {
    let mut answer = [0; 512];
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => match read {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            },
            () = sleep(DRIP), if !matches!(manner, Manner::Idle) => {
                if stream.write_all(b" ").await.is_err() {
                    return;
                }
            }
        }
    }
}
