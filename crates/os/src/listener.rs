//! Sockets that others connect to.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Mode;
use rustix::net::{
    SocketFlags, SocketType, acceptfrom_with, bind, getsockname, listen, socket_with, sockopt,
};

use crate::address::{self, Address};
use crate::socket::hold_much;

/// A socket that listens, and never blocks. `mode` is what the file of a Unix socket is to allow: before it
/// is so, nobody can connect; `None` is its owner alone.
///
/// # Errors
/// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, and what else `bind(2)` gives.
pub fn open(at: &Address, backlog: i32, mode: Option<u32>) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(at.family(), SocketType::STREAM, flags, None)?;
    match at {
        Address::Inet(to) => {
            sockopt::set_socket_reuseaddr(&socket, true)?;
            bind(&socket, to)?;
        }
        Address::Unix(name) => bind_unix(&socket, name, mode)?,
    }
    listen(&socket, backlog)?;
    Ok(socket)
}

fn bind_unix(socket: &OwnedFd, name: &[u8], mode: Option<u32>) -> io::Result<()> {
    let to = address::unix(name)?;
    // The file inherits the mode of the socket, so there is no moment at which it allows more.
    let _ = rustix::fs::fchmod(socket, Mode::RUSR | Mode::WUSR);
    bind(socket, &to)?;
    match mode {
        Some(mode) if name.first() != Some(&0) => {
            // Whoever asked for a mode is not to be restricted by the umask.
            let changed = rustix::fs::chmod(name, Mode::from_raw_mode(mode));
            if changed.is_err() {
                let _ = rustix::fs::unlink(name);
            }
            Ok(changed?)
        }
        _ => Ok(()),
    }
}

/// The address that a socket is bound to.
///
/// # Errors
/// What `getsockname(2)` gives.
pub fn address_of(socket: BorrowedFd<'_>) -> io::Result<Address> {
    Address::of(getsockname(socket)?)
}

/// The next one who has connected, and where from; never blocks. Who has gone meanwhile is left out.
///
/// # Errors
/// `EAGAIN` when there is nobody, `EMFILE` when the process may open no more.
pub fn accept(socket: BorrowedFd<'_>) -> io::Result<(OwnedFd, Address)> {
    loop {
        match acceptfrom_with(socket, SocketFlags::CLOEXEC) {
            Ok((connection, from)) => {
                let from = from.map_or_else(|| Ok(Address::Unix(Vec::new())), Address::of)?;
                prepare(connection.as_fd(), &from);
                return Ok((connection, from));
            }
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Messages are sent whole, so waiting for more to send with them only takes time; and some are large.
pub(crate) fn prepare(connection: BorrowedFd<'_>, peer: &Address) {
    match peer {
        // The kernel finds out itself how much it should hold. A connection that is gone already is slow.
        Address::Inet(_) => {
            let _ = sockopt::set_tcp_nodelay(connection, true);
        }
        Address::Unix(_) => hold_much(connection),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::client::{self, Connecting};
    use crate::readiness::{Deadline, Interest, wait_one};

    fn met(at: &Address) -> (OwnedFd, OwnedFd, Address) {
        let listener = open(at, 1, None).unwrap();
        let bound = address_of(listener.as_fd()).unwrap();
        let client = match client::connect(&bound).unwrap() {
            Connecting::Done(client) => client,
            Connecting::UnderWay(client) => {
                wait_one(client.as_fd(), Interest::Writable, Deadline::after(None)).unwrap();
                client::finish(client.as_fd()).unwrap();
                client
            }
        };
        let (server, from) = accept(listener.as_fd()).unwrap();
        assert_eq!(
            accept(listener.as_fd()).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        (client, server, from)
    }

    fn exchange(client: &OwnedFd, server: &OwnedFd) {
        rustix::io::write(client, b"hello").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(rustix::io::read(server, &mut buffer).unwrap(), 5);
    }

    #[test]
    fn tcp_connects() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let (client, server, from) = met(&Address::Inet(at.parse().unwrap()));
            exchange(&client, &server);
            assert_eq!(from, address_of(client.as_fd()).unwrap());
            for end in [client, server] {
                assert!(sockopt::tcp_nodelay(&end).unwrap());
            }
        }
    }

    #[test]
    fn unix_sockets_connect_and_are_their_owners_alone() {
        let path = std::env::temp_dir().join(format!("mp-os-listener-{}", std::process::id()));
        let name = path.as_os_str().as_encoded_bytes().to_vec();
        let (client, server, from) = met(&Address::Unix(name.clone()));
        exchange(&client, &server);
        assert_eq!(from, Address::Unix(Vec::new()));
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path) & 0o177, 0);
        assert_eq!(
            open(&Address::Unix(name.clone()), 1, None)
                .unwrap_err()
                .kind(),
            io::ErrorKind::AddrInUse
        );
        std::fs::remove_file(&path).unwrap();
        open(&Address::Unix(name), 1, Some(0o666)).unwrap();
        assert_eq!(mode(&path), 0o666);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn abstract_names_are_in_no_file_system() {
        let name = format!("\0mp-os-listener-{}", std::process::id()).into_bytes();
        let (client, server, _) = met(&Address::Unix(name.clone()));
        exchange(&client, &server);
        assert!(client::connect(&Address::Unix(name)).is_err());
    }
}
