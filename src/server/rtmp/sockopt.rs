//! Options of a TCP socket that no crate in use offers. Linux has them; elsewhere they do nothing.

use std::io;
use tokio::net::TcpStream;

/// The socket counts as readable only once `bytes` wait, or at its end. Setting it looks again at what waits already.
#[cfg(target_os = "linux")]
pub(super) fn set_receive_low_water(socket: &TcpStream, bytes: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}

/// The socket counts as writable only while fewer than `bytes` wait to be sent: what is not sent yet stays with us,
/// where a slow receiver's GOPs can still be dropped.
#[cfg(target_os = "linux")]
pub(super) fn set_unsent_low_water(socket: &TcpStream, bytes: u32) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, bytes)
}

/// Does nothing here.
#[cfg(not(target_os = "linux"))]
pub(super) fn set_receive_low_water(_: &TcpStream, _: u32) -> io::Result<()> {
    Ok(())
}

/// Does nothing here.
#[cfg(not(target_os = "linux"))]
pub(super) fn set_unsent_low_water(_: &TcpStream, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "setsockopt for options that socket2 does not have")]
fn set(socket: &TcpStream, level: libc::c_int, option: libc::c_int, value: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open as long as the socket is borrowed, and the kernel reads as many bytes behind the
    // pointer as it is told, which is the size of the value there.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(&value).cast(),
            size_of::<u32>() as libc::socklen_t, // 4
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    #[tokio::test]
    async fn low_water_hides_what_is_little_and_shows_it_when_lowered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        set_unsent_low_water(&server, 1 << 16).unwrap();
        set_receive_low_water(&server, 100).unwrap();
        // tokio takes a new socket for readable until it has tried.
        assert_eq!(server.try_read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        client.write_all(&[0; 99]).await.unwrap();
        assert!(timeout(Duration::from_millis(50), server.readable()).await.is_err());
        set_receive_low_water(&server, 1).unwrap();
        timeout(Duration::from_secs(5), server.readable()).await.expect("readable").unwrap();
    }
}
