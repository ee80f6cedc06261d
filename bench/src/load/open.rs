//! Open loop: requests begin at a fixed rate, whatever becomes of those before. A time
//! counts from when its request should have begun, so that a server that stands still is
//! charged for everything that waited meanwhile.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc},
};

use super::{Load, http::Wire, on_this_thread};

/// Posts at `rate` a second for so long, on as many connections as it may take; `request`
/// makes each from its number. `begins` is told when each should begin.
pub(crate) fn open(
    address: SocketAddr,
    connections: usize,
    rate: f64,
    span: Duration,
    request: impl Fn(usize) -> Vec<u8> + Send + 'static,
    begins: impl Fn(usize, Instant) + Send + 'static,
) -> Load {
    let count = (rate * span.as_secs_f64()) as usize;
    let (due, waiting) = mpsc::unbounded_channel();
    let poster = thread::Builder::new().name("posts".into()).spawn(move || {
        let waiting = Rc::new(Mutex::new(waiting));
        on_this_thread(|all, load| {
            for _ in 0..connections {
                all.spawn_local(post(address, waiting.clone(), load.clone()));
            }
        })
    });
    let poster = poster.expect("a thread");
    // Far enough away that all connections are open.
    let begun = Instant::now() + Duration::from_millis(200);
    for number in 0..count {
        let at = begun + Duration::from_secs_f64(number as f64 / rate);
        let request = request(number);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        begins(number, at);
        if due.send((at, request)).is_err() {
            break;
        }
    }
    drop(due);
    poster.join().expect("a load")
}

type Due = mpsc::UnboundedReceiver<(Instant, Vec<u8>)>;

async fn post(address: SocketAddr, due: Rc<Mutex<Due>>, load: Rc<RefCell<Load>>) {
    let stream = TcpStream::connect(address).await.expect("a server");
    let mut wire = Wire::new(stream);
    loop {
        let next = due.lock().await.recv().await;
        let Some((at, request)) = next else {
            return;
        };
        let is_accepted = wire.exchange(&request).await;
        if !load.borrow_mut().count(is_accepted, at) {
            return;
        }
    }
}
