//! Someone on the way, who cuts connections after some bytes.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// A relay to a server of this machine.
pub(crate) struct Cutter {
    pub(crate) port: u16,
    /// How many bytes may still pass, in both directions together.
    left: Arc<AtomicI64>,
    /// How many connections were cut.
    cuts: Arc<AtomicUsize>,
}

impl Cutter {
    /// Stands before a server; each piece of at most 16 KiB takes a while.
    pub(crate) fn before(server: u16, pause: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (left, cuts) = (Arc::new(AtomicI64::new(i64::MAX)), Arc::new(AtomicUsize::new(0)));
        let (budget, count) = (Arc::clone(&left), Arc::clone(&cuts));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server)))
                else {
                    return;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (budget, count) = (Arc::clone(&budget), Arc::clone(&count));
                    thread::spawn(move || pass(from, to, &budget, &count, pause));
                }
            }
        });
        Self { port, left, cuts }
    }

    /// Lets so many bytes pass, and cuts every connection then.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.left.store(i64::try_from(bytes).unwrap(), Ordering::SeqCst);
    }

    /// Lets everything pass.
    pub(crate) fn let_pass(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

/// Passes bytes on until there are no more, or no more may pass.
fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    budget: &AtomicI64,
    count: &AtomicUsize,
    pause: Duration,
) {
    let mut piece = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        let before = budget.fetch_sub(i64::try_from(read).unwrap(), Ordering::SeqCst);
        let may = usize::try_from(before.max(0)).unwrap().min(read);
        // Sleeps because a slow line is what is tested.
        thread::sleep(pause);
        if to.write_all(&piece[..may]).is_err() {
            break;
        }
        if may < read {
            // What was passed on is the server's to act on, although nobody waits for it any more.
            count.fetch_add(1, Ordering::SeqCst);
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
