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
    task::LocalSet,
};

use super::{Load, closed::exchange, http::Wire, micros, runtime, thread_cpu};

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
    let poster = thread::Builder::new()
        .name("posts".into())
        .spawn(move || post_all(address, connections, waiting));
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

fn post_all(address: SocketAddr, connections: usize, due: Due) -> Load {
    let before = thread_cpu();
    let load = Rc::new(RefCell::new(Load::new()));
    let due = Rc::new(Mutex::new(due));
    let all = LocalSet::new();
    for _ in 0..connections {
        all.spawn_local(post(address, due.clone(), load.clone()));
    }
    let begun = Instant::now();
    runtime().block_on(all);
    let mut load = Rc::try_unwrap(load).expect("all have ended").into_inner();
    load.took = begun.elapsed();
    load.cpu = thread_cpu() - before;
    load
}

async fn post(address: SocketAddr, due: Rc<Mutex<Due>>, load: Rc<RefCell<Load>>) {
    let stream = TcpStream::connect(address).await.expect("a server");
    let mut wire = Wire::new(stream);
    loop {
        let next = due.lock().await.recv().await;
        let Some((at, request)) = next else {
            return;
        };
        let is_accepted = exchange(&mut wire, &request).await;
        let mut load = load.borrow_mut();
        match is_accepted {
            Some(true) => {
                load.accepted += 1;
                load.times.saturating_record(micros(at.elapsed()));
            }
            Some(false) => load.refused += 1,
            None => {
                load.refused += 1;
                return;
            }
        }
    }
}
