//! A bad network: a UDP relay that loses datagrams or is narrow, and a TCP line that breaks at one end only.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest that a datagram waits where the way is narrow.
const QUEUE: Duration = Duration::from_millis(100);
/// What IP and UDP add to a datagram.
const NETWORK: usize = 28;

/// Stands on another loopback address under the gateway's own port, so that announcing that address is enough to have all
/// clients come through it.
pub(crate) struct Relay {
    way: Arc<Way>,
    thread: Option<JoinHandle<()>>,
}

/// What the way is like at the moment.
#[derive(Default)]
struct Way {
    /// Losses in each direction, in a thousand.
    loss: AtomicU32,
    /// What it carries to the clients, in kbit/s; 0: whatever there is.
    width: AtomicU32,
    stop: AtomicBool,
}

/// What waits where the way is narrow.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
    /// When all of it has been sent.
    free: Option<Instant>,
}

impl Relay {
    /// The address that the gateway is to announce.
    pub(crate) const ANNOUNCED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    /// Stands before the gateway at this address, and loses nothing yet.
    pub(crate) fn before(gateway: SocketAddr) -> Self {
        let socket =
            UdpSocket::bind((Self::ANNOUNCED, gateway.port())).expect("the port is free on each address");
        let way = Arc::<Way>::default();
        let thread = {
            let way = way.clone();
            thread::spawn(move || forward(&socket, gateway, &way))
        };
        Self { way, thread: Some(thread) }
    }

    /// From now on so many datagrams in a thousand are lost in each direction.
    pub(crate) fn lose(&self, in_a_thousand: u32) {
        self.way.loss.store(in_a_thousand, Ordering::Relaxed);
    }

    /// From now on so many kbit/s reach the clients, behind a queue of 100 ms; 0: whatever there is.
    pub(crate) fn narrow(&self, kbps: u32) {
        self.way.width.store(kbps, Ordering::Relaxed);
    }
}

impl Queue {
    /// What one that is too long for it takes of the way does not matter: it is lost.
    fn push(&mut self, kbps: u32, client: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let free = self.free.map_or(now, |free| free.max(now));
        if free - now < QUEUE {
            let bits = (datagram.len() + NETWORK) as u32 * 8;
            let free = free + Duration::from_millis(bits.checked_div(kbps).unwrap_or(0).into());
            self.free = Some(free);
            self.waiting.push_back((free, client, datagram.to_vec()));
        }
    }

    /// What has come through.
    fn pop(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.waiting.pop_front_if(|(due, ..)| *due <= Instant::now()).map(|(_, client, data)| (client, data))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.way.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn forward(socket: &UdpSocket, gateway: SocketAddr, way: &Way) {
    socket.set_nonblocking(true).expect("a socket can");
    let mut clients: HashMap<SocketAddr, UdpSocket> = HashMap::new();
    let mut buffer = [0; 2048];
    let mut random = 1u32;
    let mut lost = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % 1000 < way.loss.load(Ordering::Relaxed)
    };
    let mut queue = Queue::default();
    while !way.stop.load(Ordering::Relaxed) {
        let mut idle = true;
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            idle = false;
            let Ok(upstream) = upstream(&mut clients, from, gateway) else { continue };
            if !lost() {
                drop(upstream.send(&buffer[..length]));
            }
        }
        for (client, upstream) in &clients {
            while let Ok(length) = upstream.recv(&mut buffer) {
                idle = false;
                if !lost() {
                    queue.push(way.width.load(Ordering::Relaxed), *client, &buffer[..length]);
                }
            }
        }
        while let Some((client, datagram)) = queue.pop() {
            drop(socket.send_to(&datagram, client));
        }
        if idle {
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// The socket through which a client's datagrams go on: the gateway tells clients apart by it.
fn upstream(
    clients: &mut HashMap<SocketAddr, UdpSocket>,
    client: SocketAddr,
    gateway: SocketAddr,
) -> io::Result<&UdpSocket> {
    Ok(match clients.entry(client) {
        std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
        std::collections::hash_map::Entry::Vacant(new) => {
            let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            upstream.connect(gateway)?;
            upstream.set_nonblocking(true)?;
            new.insert(upstream)
        }
    })
}

/// The line of a client to the gateway.
pub(crate) struct Line {
    /// Where the client connects to.
    pub(crate) address: SocketAddr,
    /// Both ends of each connection: the client's, and the gateway's.
    ends: Arc<Mutex<Vec<[TcpStream; 2]>>>,
}

impl Line {
    /// A line that carries everything.
    pub(crate) fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let address = listener.local_addr().expect("it is bound");
        let ends = Arc::<Mutex<Vec<[TcpStream; 2]>>>::default();
        let kept = ends.clone();
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(gateway) else { return };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (clone(from), clone(to));
                    thread::spawn(move || {
                        drop(io::copy(&mut from, &mut to));
                    });
                }
                kept.lock().expect("nobody panics").push([client, server]);
            }
        });
        Self { address, ends }
    }

    /// Breaks what is connected: the client notices at once, as one whose network has changed does; the gateway hears nothing
    /// more and is not told.
    pub(crate) fn cut(&self) {
        for [client, _] in self.ends.lock().expect("nobody panics").iter() {
            drop(client.shutdown(Shutdown::Both));
        }
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("there are file descriptors")
}
