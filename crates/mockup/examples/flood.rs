//! How many messages a second the mockup takes on one core.
//!
//! `cargo run --release -p mockup --example flood -- [MESSAGES] [CONNECTIONS]`
//!
//! Starts a mockup in a process of its own, pinned to core 0 (Linux,
//! `taskset`), floods it over kept-alive connections, and reports messages per
//! second and the mockup's CPU time and memory, which it reads from `/proc`.

use std::env;
use std::error::Error;
use std::fs;
use std::future;
use std::process::Stdio;
use std::time::Instant;

use mockup::{Mockup, Settings};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// `/proc/PID/stat` counts in these; 100 a second on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "serve") {
        return serve().await;
    }
    let number = |at: usize, default: usize| match arguments.get(at) {
        Some(argument) => argument.parse(),
        None => Ok(default),
    };
    let messages = number(0, 300_000)?.min(10_000_000);
    let connections = number(1, 64)?.clamp(1, 1000);

    let (mut child, address) = start_mockup().await?;
    let pid = child.id().ok_or("the mockup has ended")?;
    flood(&address, messages / 10, connections).await?;
    let (cpu_before, start) = (cpu_seconds(pid)?, Instant::now());
    flood(&address, messages, connections).await?;
    let (elapsed, cpu) = (start.elapsed(), cpu_seconds(pid)? - cpu_before);
    let memory = resident_memory(pid)?;
    child.kill().await?;

    let count = messages as f64;
    println!(
        "{messages} messages over {connections} connections in {:.2} s: {:.0}/s, \
         {:.1} µs CPU a message ({:.0} % of a core), {memory} resident",
        elapsed.as_secs_f64(),
        count / elapsed.as_secs_f64(),
        cpu * 1e6 / count,
        100.0 * cpu / elapsed.as_secs_f64(),
    );
    Ok(())
}

/// The mockup's side: serves until it is killed.
async fn serve() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Mockup::new(Settings::default())
        .serve(listener, future::pending())
        .await;
    Ok(())
}

async fn start_mockup() -> Outcome<(Child, String)> {
    let mut child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(env::current_exe()?)
        .arg("serve")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no output to read")?;
    let first_line = BufReader::new(stdout).lines().next_line().await?;
    let address = first_line.ok_or("the mockup did not say where it listens")?;
    Ok((child, address))
}

async fn flood(address: &str, messages: usize, connections: usize) -> Outcome<()> {
    let mut clients = JoinSet::new();
    for client in 0..connections {
        let share = messages / connections + usize::from(client < messages % connections);
        clients.spawn(post(address.to_owned(), client, share));
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(())
}

async fn post(address: String, client: usize, messages: usize) -> Outcome<()> {
    let body = format!(r#"{{"channel":"C{client:04}","text":"[normal] node1 down"}}"#);
    let request = format!(
        "POST /api/chat.postMessage HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer xoxb-{client:04}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 4096];
    for _ in 0..messages {
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        // The answer's JSON ends with the two braces of `{"message":{...}}`.
        while !answer[..filled].ends_with(b"}}") {
            match stream.read(&mut answer[filled..]).await? {
                0 => return Err("the connection was closed, or the answer is too long".into()),
                count => filled += count,
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err("a message was not accepted".into());
        }
    }
    Ok(())
}

/// User and system time of a process so far.
fn cpu_seconds(pid: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields 14 and 15, counted behind the name, which may contain spaces.
    let (_, fields) = stat.rsplit_once(')').ok_or("an odd /proc/PID/stat")?;
    let mut ticks = 0.0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / TICKS_PER_SECOND)
}

fn resident_memory(pid: u32) -> Outcome<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}
