//! A network between a store and its database, which can lose an answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What is lost with the next commit of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loses {
    /// The commit itself.
    Question,
    /// Its answer.
    Answer,
}

/// Passes everything on, but for what it was told to lose.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    armed: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr, loses: Loses) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Arc::new(AtomicBool::new(false));
        let arm = armed.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                tokio::spawn(pass(client, server, loses, arm.clone()));
            }
        });
        Self { address, armed }
    }

    /// From now on: the next commit of a change is lost, or its answer, and the connection
    /// with it.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_lost(&self) -> bool {
        !self.armed.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, loses: Loses, armed: Arc<AtomicBool>) {
    let (mut asked, mut answered) = ([0; 65_536], [0; 65_536]);
    let mut changes = false;
    loop {
        tokio::select! {
            count = client.read(&mut asked) => {
                let Ok(1..) = count else { return };
                let said = &asked[..count.unwrap()];
                changes |= holds(said, b"directory_lock");
                let is_it = changes && holds(said, b"COMMIT") && armed.swap(false, Ordering::SeqCst);
                if is_it && loses == Loses::Question {
                    return;
                }
                if server.write_all(said).await.is_err() {
                    return;
                }
                if is_it {
                    // The answer has come, so it is committed; nobody hears of it.
                    let _ = server.read(&mut answered).await;
                    return;
                }
            }
            count = server.read(&mut answered) => {
                let Ok(1..) = count else { return };
                if client.write_all(&answered[..count.unwrap()]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn holds(said: &[u8], word: &[u8]) -> bool {
    said.windows(word.len()).any(|part| part == word)
}
