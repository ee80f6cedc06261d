//! Closed loop: so many connections, each posts as soon as it was answered.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, task::LocalSet};

use super::{Load, http::Wire, micros, runtime, thread_cpu};

/// Posts `requests`, over and over, on so many connections for so long.
pub(crate) fn closed(
    address: SocketAddr,
    connections: usize,
    requests: &Arc<[Vec<u8>]>,
    span: Duration,
) -> Load {
    let requests = requests.clone();
    let poster = thread::Builder::new().name("posts".into()).spawn(move || {
        let before = thread_cpu();
        let begun = Instant::now();
        let load = Rc::new(RefCell::new(Load::new()));
        let all = LocalSet::new();
        for number in 0..connections {
            all.spawn_local(post(
                address,
                number,
                requests.clone(),
                begun + span,
                load.clone(),
            ));
        }
        runtime().block_on(all);
        let mut load = Rc::try_unwrap(load).expect("all have ended").into_inner();
        load.took = begun.elapsed();
        load.cpu = thread_cpu() - before;
        load
    });
    poster.expect("a thread").join().expect("a load")
}

/// The same, and waits for what `drain` waits for; answers how long all took.
pub(crate) fn closed_until_drained(
    address: SocketAddr,
    connections: usize,
    requests: &Arc<[Vec<u8>]>,
    span: Duration,
    drain: impl FnOnce(),
) -> (Load, Duration) {
    let begun = Instant::now();
    let load = closed(address, connections, requests, span);
    drain();
    (load, begun.elapsed())
}

async fn post(
    address: SocketAddr,
    number: usize,
    requests: Arc<[Vec<u8>]>,
    until: Instant,
    load: Rc<RefCell<Load>>,
) {
    let stream = TcpStream::connect(address).await.expect("a server");
    let mut wire = Wire::new(stream);
    let mut next = number * 31;
    loop {
        let sent = Instant::now();
        if sent >= until {
            return;
        }
        next += 1;
        let is_accepted = exchange(&mut wire, &requests[next % requests.len()]).await;
        let mut load = load.borrow_mut();
        match is_accepted {
            Some(true) => {
                load.accepted += 1;
                load.times.saturating_record(micros(sent.elapsed()));
            }
            Some(false) => load.refused += 1,
            None => {
                load.refused += 1;
                return;
            }
        }
    }
}

/// Whether the answer is 2xx; `None` where there was none.
pub(super) async fn exchange(wire: &mut Wire, request: &[u8]) -> Option<bool> {
    wire.send(request).await.ok()?;
    let found = wire.receive().await.ok()??;
    let is_accepted = wire.head(&found).starts_with(b"HTTP/1.1 2");
    wire.done(found);
    Some(is_accepted)
}
