//! Closed loop: so many connections, each posts as soon as it was answered.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use super::{Load, http::Wire, on_this_thread};

/// Posts `requests`, over and over, on so many connections for so long.
pub(crate) fn closed(
    address: SocketAddr,
    connections: usize,
    requests: &Arc<[Vec<u8>]>,
    span: Duration,
) -> Load {
    let requests = requests.clone();
    let until = Instant::now() + span;
    let poster = thread::Builder::new().name("posts".into()).spawn(move || {
        on_this_thread(|all, load| {
            for number in 0..connections {
                // Connections begin at different requests, as far from each other as can be.
                let first = number * requests.len() / connections;
                let (requests, load) = (requests.clone(), load.clone());
                all.spawn_local(post(address, first, requests, until, load));
            }
        })
    });
    poster.expect("a thread").join().expect("a load")
}

async fn post(
    address: SocketAddr,
    first: usize,
    requests: Arc<[Vec<u8>]>,
    until: Instant,
    load: Rc<RefCell<Load>>,
) {
    let stream = TcpStream::connect(address).await.expect("a server");
    let mut wire = Wire::new(stream);
    for request in requests.iter().cycle().skip(first) {
        let sent = Instant::now();
        if sent >= until {
            return;
        }
        let is_accepted = wire.exchange(request).await;
        if !load.borrow_mut().count(is_accepted, sent) {
            return;
        }
    }
}
