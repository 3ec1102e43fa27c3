//! What the network shell does when the process runs out of descriptors. A binary of its own: the
//! limit concerns the whole process, so no other test may run beside it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use banyan::net::{
    Balance, ConnId, DriverConfig, Handler, Io, IoKind, Listeners, Now, Peer, Sleep, Waker, probe,
    run,
};

struct Echo {
    stop: Arc<AtomicBool>,
}

impl Handler for Echo {
    fn accepted(&mut self, _: &mut Io, _: ConnId, _: Peer) {}
    fn connected(&mut self, _: &mut Io, _: ConnId, _: io::Result<()>) {}
    fn received(&mut self, io: &mut Io, conn: ConnId, data: &[u8]) {
        io.send(conn, data.to_vec());
    }
    fn sent(&mut self, _: &mut Io, _: ConnId, _: usize) {}
    fn closed(&mut self, _: &mut Io, _: ConnId) {}
    fn tick(&mut self, _: &mut Io, _: Now) -> Sleep {
        if self.stop.load(Ordering::Acquire) {
            Sleep::Exit
        } else {
            Sleep::Forever
        }
    }
}

fn limit_descriptors(count: u64) {
    // SAFETY: the structure is plain data, valid for both calls.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = count.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}

fn accepts_again(kind: IoKind) {
    let (waker, sleeper) = Waker::new().unwrap();
    let mut config = DriverConfig::new(0, Arc::new(Balance::new(vec![waker.clone()])));
    config.accept_backoff = Duration::from_millis(10);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listeners = Listeners {
        tcp: vec![listener],
        unix: None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut handler = Echo { stop: stop.clone() };
    let thread =
        std::thread::spawn(move || run(kind, config, listeners, sleeper, &mut handler).unwrap());
    let mut first = TcpStream::connect(address).unwrap();
    first.write_all(b"1").unwrap();
    first.read_exact(&mut [0]).unwrap();

    let mut fillers: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // One descriptor for the client's end, none for the server's.
    fillers.pop();
    let mut second = TcpStream::connect(address).unwrap();
    second.write_all(b"2").unwrap();
    second
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(
        second.read(&mut [0]).is_err(),
        "there is no descriptor to accept with"
    );
    // The connections that are there are still served.
    first.write_all(b"1").unwrap();
    first.read_exact(&mut [0]).unwrap();

    fillers.clear();
    second
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut byte = [0];
    second.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"2");
    stop.store(true, Ordering::Release);
    waker.wake();
    thread.join().unwrap();
}

#[test]
fn accepting_goes_on_after_the_descriptors_ran_out() {
    limit_descriptors(64);
    accepts_again(IoKind::Epoll);
    if probe().uring {
        accepts_again(IoKind::Uring);
    }
}
