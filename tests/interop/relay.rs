//! A bad network: a UDP relay that loses datagrams.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Stands on another loopback address under the gateway's own port, so that announcing that address is enough to have all
/// clients come through it.
pub(crate) struct Relay {
    /// Losses in each direction, in a thousand.
    loss: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// The address that the gateway is to announce.
    pub(crate) const ANNOUNCED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    /// Stands before the gateway at this address, and loses nothing yet.
    pub(crate) fn before(gateway: SocketAddr) -> Self {
        let socket =
            UdpSocket::bind((Self::ANNOUNCED, gateway.port())).expect("the port is free on each address");
        let (loss, stop) = (Arc::<AtomicU32>::default(), Arc::<AtomicBool>::default());
        let thread = {
            let (loss, stop) = (loss.clone(), stop.clone());
            thread::spawn(move || forward(&socket, gateway, &loss, &stop))
        };
        Self { loss, stop, thread: Some(thread) }
    }

    /// From now on so many datagrams in a thousand are lost in each direction.
    pub(crate) fn lose(&self, in_a_thousand: u32) {
        self.loss.store(in_a_thousand, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn forward(socket: &UdpSocket, gateway: SocketAddr, loss: &AtomicU32, stop: &AtomicBool) {
    socket.set_nonblocking(true).expect("a socket can");
    let mut clients: HashMap<SocketAddr, UdpSocket> = HashMap::new();
    let mut buffer = [0; 2048];
    let mut random = 1u32;
    let mut lost = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % 1000 < loss.load(Ordering::Relaxed)
    };
    while !stop.load(Ordering::Relaxed) {
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
                    drop(socket.send_to(&buffer[..length], client));
                }
            }
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
