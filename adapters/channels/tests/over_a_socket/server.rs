//! A server that does as it is told, byte for byte.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// What the server does with each request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Answers these bytes and goes on with the connection.
    Answer(Vec<u8>),
    /// Answers these bytes and closes.
    AnswerAndClose(Vec<u8>),
    /// Answers these bytes and never says more.
    AnswerAndHang(Vec<u8>),
    /// Answers these bytes, and then `x` until the other side closes.
    AnswerAndFlood(Vec<u8>),
    /// Closes without an answer.
    Close,
    /// Never answers.
    Silence,
    /// Does not even read: takes the connection and is silent.
    Deaf,
}

/// What the server saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A connection was made.
    Connected,
    /// A whole request came.
    Request(Request),
    /// The other side closed; so many bytes of flood were taken until then.
    Closed { flood: usize },
}

/// One request as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The request line.
    pub(crate) line: String,
    /// The header lines, in lower-case names, in order.
    pub(crate) headers: Vec<String>,
    /// The body.
    pub(crate) body: String,
}

pub(crate) struct Server {
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Server {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (report, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                report.send(Seen::Connected).ok();
                tokio::spawn(serve(stream, reply.clone(), report.clone()));
            }
        });
        Self { url, seen }
    }

    /// The next thing that the server sees; waits for it.
    pub(crate) async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// The next request; waits for it.
    pub(crate) async fn request(&mut self) -> Request {
        loop {
            if let Seen::Request(request) = self.next().await {
                return request;
            }
        }
    }

    /// How many bytes of flood went out until the other side closed; waits for that.
    pub(crate) async fn flood(&mut self) -> usize {
        loop {
            if let Seen::Closed { flood } = self.next().await {
                return flood;
            }
        }
    }

    /// All that was seen until now.
    pub(crate) fn so_far(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

/// An answer with a body of its own length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn serve(mut stream: TcpStream, reply: Reply, report: mpsc::UnboundedSender<Seen>) {
    if matches!(reply, Reply::Deaf) {
        return std::future::pending().await;
    }
    let mut flood = 0;
    while let Some(request) = read(&mut stream).await {
        report.send(Seen::Request(request)).ok();
        match &reply {
            Reply::Answer(bytes) => stream.write_all(bytes).await.unwrap(),
            Reply::AnswerAndClose(bytes) => {
                stream.write_all(bytes).await.unwrap();
                return;
            }
            Reply::AnswerAndHang(bytes) => {
                stream.write_all(bytes).await.unwrap();
                std::future::pending::<()>().await;
            }
            Reply::AnswerAndFlood(bytes) => {
                stream.write_all(bytes).await.unwrap();
                let chunk = [b'x'; 16 * 1024];
                while let Ok(written) = stream.write(&chunk).await {
                    flood += written;
                }
                break;
            }
            Reply::Close => return,
            Reply::Silence | Reply::Deaf => std::future::pending().await,
        }
    }
    report.send(Seen::Closed { flood }).ok();
}

/// Reads one request; `None` where the other side closed.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse(&bytes) {
            return Some(request);
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: Vec<String> = lines.map(str::to_owned).collect();
    let length: usize = headers
        .iter()
        .find_map(|header| header.strip_prefix("content-length: "))?
        .parse()
        .unwrap();
    (body.len() == length).then(|| Request {
        line,
        headers,
        body: body.to_owned(),
    })
}
