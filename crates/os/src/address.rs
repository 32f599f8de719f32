//! Where listeners are found: addresses of TCP and of Unix sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

/// An address that can be listened at or connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP, over IPv4 or IPv6.
    Inet(SocketAddr),
    /// A Unix socket: a path; with a NUL in front, a name that is in no file system (Linux); nothing for
    /// a socket that has no name.
    Unix(Vec<u8>),
}

impl Address {
    /// The family of its sockets.
    pub(crate) fn family(&self) -> AddressFamily {
        match self {
            Self::Inet(SocketAddr::V4(_)) => AddressFamily::INET,
            Self::Inet(SocketAddr::V6(_)) => AddressFamily::INET6,
            Self::Unix(_) => AddressFamily::UNIX,
        }
    }

    /// What the kernel has told.
    pub(crate) fn of(address: SocketAddrAny) -> io::Result<Self> {
        if address.address_family() == AddressFamily::UNIX {
            let unix = SocketAddrUnix::try_from(address)?;
            return Ok(Self::Unix(bytes_of(&unix)));
        }
        Ok(Self::Inet(SocketAddr::try_from(address)?))
    }
}

/// A path, or a name in the abstract namespace.
///
/// # Errors
/// `ENAMETOOLONG` when it does not fit, `EINVAL` for a NUL inside a path and for no name at all.
pub(crate) fn unix(name: &[u8]) -> io::Result<SocketAddrUnix> {
    match name.split_first() {
        None => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        #[cfg(target_os = "linux")]
        Some((0, name)) => Ok(SocketAddrUnix::new_abstract_name(name)?),
        Some(_) => Ok(SocketAddrUnix::new(name)?),
    }
}

fn bytes_of(address: &SocketAddrUnix) -> Vec<u8> {
    #[cfg(target_os = "linux")]
    if let Some(name @ [_, ..]) = address.abstract_name() {
        return [b"\0", name].concat();
    }
    address
        .path()
        .map_or_else(Vec::new, |path| path.to_bytes().to_vec())
}

/// Which addresses a host name may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The addresses of a host name, of one version, in the system's order. Blocks while it asks.
///
/// # Errors
/// What the system's resolver says; an empty list is no error.
pub fn resolve(host: &str, version: Version) -> io::Result<Vec<IpAddr>> {
    let found = (host, 0).to_socket_addrs()?;
    Ok(found
        .map(|address| address.ip())
        .filter(|ip| ip.is_ipv4() == (version == Version::V4))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_has_an_address_of_its_own() {
        let found = resolve("localhost", Version::V4).unwrap();
        assert_eq!(found.first(), Some(&IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for name in [&b""[..], b"/a\0b", &[b'a'; 200]] {
            assert!(unix(name).is_err());
        }
    }
}
