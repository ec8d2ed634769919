//! One shard's UDP socket: receives many datagrams a system call, sends runs of them.

use super::batch::Wire;
use super::path::{Path, Via};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// With the system's default of 208 KB a burst, such as a key frame to many viewers, is lost in the kernel.
const SOCKET_BUFFER: usize = 4 << 20;
/// What one receiving system call may bring for each of its messages: a run of datagrams that the kernel has put together.
const MESSAGE_BUFFER: usize = 65_536;
/// Messages one receiving system call brings at most.
const MESSAGES: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };

/// The socket.
pub(super) struct Socket {
    io: AsyncFd<std::net::UdpSocket>,
    state: UdpSocketState,
    ipv6: bool,
}

/// Where received datagrams are put.
pub(super) struct ReceiveBuffer(Vec<u8>);

/// A socket that is bound but not yet driven by a runtime, so that it can move to its thread.
pub(super) struct BoundSocket(std::net::UdpSocket);

/// The address with a port that nobody has, over UDP and over TCP; an error if it names one that is taken. The sockets
/// that are bound then share their port with whoever asks, another server of the same user included, so this is the only
/// time at which the kernel can tell.
pub(super) fn free_address(address: SocketAddr) -> io::Result<SocketAddr> {
    let mut attempts = if address.port() == 0 { ATTEMPTS } else { 1 };
    loop {
        let udp = std::net::UdpSocket::bind(address)?;
        let found = udp.local_addr()?;
        attempts -= 1;
        match std::net::TcpListener::bind(found) {
            Ok(_) => return Ok(found),
            // What is free over UDP may be in use over TCP.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

/// How often to look for a port that is free over both.
const ATTEMPTS: u32 = 16;

impl BoundSocket {
    /// Binds one of several sockets of the same address; the kernel spreads the peers over them.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        Ok(Self(socket.into()))
    }

    /// Hands it to the runtime of the calling thread.
    #[expect(unsafe_code, reason = "tokio's own socket cannot be registered for reading alone")]
    pub(super) fn into_socket(self) -> io::Result<Socket> {
        let ipv6 = self.0.local_addr()?.is_ipv6();
        let state = UdpSocketState::new(UdpSockRef::from(&self.0))?;
        // Where the system allows less, it is less.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&self.0), SOCKET_BUFFER);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&self.0), SOCKET_BUFFER);
        // Nobody waits for room to send: to be told of it would wake the shard once more for each burst that has left.
        // SAFETY: a standard socket owns its descriptor, which stays open and the same until the socket is dropped, with
        // the `AsyncFd` that owns it.
        let io = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) }?;
        Ok(Socket { io, state, ipv6 })
    }
}

impl Default for ReceiveBuffer {
    fn default() -> Self {
        Self(vec![0; MESSAGE_BUFFER * MESSAGES])
    }
}

impl Socket {
    /// Waits until there may be something to receive. Cancel-safe.
    pub(super) async fn readable(&self) -> io::Result<()> {
        // Stays readable until a receiving call has found nothing.
        self.io.readable().await.map(|mut ready| ready.retain_ready())
    }

    /// Receives what one system call gives, and calls `each` for every datagram. Gives how many system messages there
    /// were; `WouldBlock` when there are none.
    pub(super) fn receive(
        &self,
        buffer: &mut ReceiveBuffer,
        mut each: impl FnMut(Path, &[u8]),
    ) -> io::Result<usize> {
        let mut metas = [RecvMeta::default(); MESSAGES];
        let mut count = 0;
        let received = {
            let mut slices = buffer.0.chunks_exact_mut(MESSAGE_BUFFER).map(IoSliceMut::new);
            let mut slices: [IoSliceMut<'_>; MESSAGES] =
                std::array::from_fn(|_| slices.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
            self.io.try_io(Interest::READABLE, |socket| {
                count = self.state.recv(UdpSockRef::from(socket), &mut slices, &mut metas)?;
                // A call that brings less than it could has found the end, as the next would, at the price of another.
                // Readiness is of edges and counted, so what has come meanwhile is not forgotten with it.
                if count < MESSAGES { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            })
        };
        if count == 0 {
            received?;
        }
        for (message, meta) in buffer.0.chunks_exact(MESSAGE_BUFFER).zip(&metas).take(count) {
            // Nobody can be answered at port 0, and trying to would look to the kernel like a bad argument.
            if meta.addr.port() == 0 {
                continue;
            }
            let remote = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            let local = meta.dst_ip.map(|ip| ip.to_canonical());
            let path = Path { remote, via: Via::Udp { local } };
            let message = message.get(..meta.len).unwrap_or_default();
            for datagram in message.chunks(meta.stride.max(1)) {
                each(path, datagram);
            }
        }
        Ok(count)
    }

    const fn to_wire(&self, address: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip_to_wire(address.ip()), address.port())
    }

    /// An IPv6 socket knows IPv4 addresses in their mapped form only.
    const fn ip_to_wire(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) if self.ipv6 => IpAddr::V6(v4.to_ipv6_mapped()),
            ip => ip,
        }
    }
}

impl Wire for Socket {
    fn send(
        &self,
        remote: SocketAddr,
        local: Option<IpAddr>,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: self.to_wire(remote),
            ecn: None,
            contents: bytes,
            segment_size: (segment < bytes.len()).then_some(segment),
            src_ip: local.map(|ip| self.ip_to_wire(ip)),
        };
        self.state.try_send(UdpSockRef::from(self.io.get_ref()), &transmit)
    }

    fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn what_comes_behind_a_short_read_is_heard_of() {
        let local = free_address(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let socket = BoundSocket::bind(local).unwrap().into_socket().unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut buffer = ReceiveBuffer::default();
        // Fewer than a call can bring, as many, and more.
        for count in (1..=2 * MESSAGES + 1).cycle().take(500) {
            (0..count).for_each(|index| assert_eq!(peer.send_to(&[index as u8], local).unwrap(), 1));
            let mut received = 0;
            while received < count {
                timeout(Duration::from_secs(10), socket.readable())
                    .await
                    .expect("something is there")
                    .unwrap();
                while socket.receive(&mut buffer, |_, _| received += 1).is_ok() {}
            }
            assert_eq!(received, count);
        }
    }
}
