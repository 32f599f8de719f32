//! Sockets that listen and connect, by number.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::IntoRawFd;

use mp_os::address::{self, Address, Version};
use mp_os::client::{self, Connecting};
use mp_os::{descriptor, listener};
use napi::bindgen_prelude::Buffer;
use napi::{Error, Result};
use napi_derive::napi;

use crate::status;

/// Where a socket is: `path` for Unix sockets, the rest for TCP. The path of an abstract socket begins with
/// a zero.
#[napi(object)]
pub struct SocketAddress {
    pub path: Option<Buffer>,
    pub host: Option<String>,
    pub port: Option<u32>,
    pub flowinfo: Option<u32>,
    pub scope: Option<u32>,
}

/// Somebody who has connected: `fd` is a descriptor or a status.
#[napi(object)]
pub struct Accepted {
    pub fd: f64,
    pub from: Option<SocketAddress>,
}

/// Listens: the descriptor or a status. A `mode` below 0 lets the owner alone connect to a Unix socket.
#[napi]
pub fn open_listener(at: SocketAddress, backlog: i32, mode: i32) -> f64 {
    let open = || {
        let socket = listener::open(&parse(&at)?, backlog, u32::try_from(mode).ok())?;
        Ok(socket.into_raw_fd())
    };
    status::of(open())
}

/// The address of a socket.
#[napi]
pub fn address_of_socket(fd: i32) -> Result<SocketAddress> {
    let found = descriptor::borrow(fd).and_then(listener::address_of);
    found
        .map(|address| show(&address))
        .map_err(|error| Error::from_reason(error.to_string()))
}

/// The next one who has connected; `NOT_YET` when there is none. Never blocks.
#[napi]
pub fn accept_connection(fd: i32) -> Accepted {
    match descriptor::borrow(fd).and_then(listener::accept) {
        Ok((connection, from)) => Accepted {
            fd: connection.into_raw_fd().into(),
            from: Some(show(&from)),
        },
        Err(error) => Accepted {
            fd: not_yet(&error),
            from: None,
        },
    }
}

/// Connects, without blocking: `[descriptor, 1]`; `[descriptor, 0]`, when `finishConnect` is to be called
/// once it can be written to; or `[status]`, of which `NOT_YET` is to be tried again.
#[napi]
pub fn connect_socket(to: SocketAddress) -> Vec<f64> {
    match parse(&to).and_then(|to| client::connect(&to)) {
        Ok(Connecting::Done(socket)) => vec![socket.into_raw_fd().into(), 1.0],
        Ok(Connecting::UnderWay(socket)) => vec![socket.into_raw_fd().into(), 0.0],
        Err(error) => vec![not_yet(&error)],
    }
}

/// What has become of a connection that was under way: 0 or a status.
#[napi]
pub fn finish_connect(fd: i32) -> f64 {
    status::of_unit(descriptor::borrow(fd).and_then(client::finish))
}

/// The addresses of a host, of IP version 4 or 6. Blocks while it asks; throws what the resolver says.
#[napi]
pub fn resolve_host(host: String, version: u32) -> Result<Vec<String>> {
    let version = if version == 6 {
        Version::V6
    } else {
        Version::V4
    };
    let found =
        address::resolve(&host, version).map_err(|error| Error::from_reason(error.to_string()))?;
    Ok(found.iter().map(IpAddr::to_string).collect())
}

fn not_yet(error: &io::Error) -> f64 {
    if error.kind() == io::ErrorKind::WouldBlock {
        status::NOT_YET
    } else {
        status::system(error)
    }
}

fn parse(address: &SocketAddress) -> io::Result<Address> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    if let Some(path) = &address.path {
        return Ok(Address::Unix(path.to_vec()));
    }
    let host = address.host.as_deref().ok_or_else(invalid)?;
    let port = address.port.and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(invalid)?;
    Ok(Address::Inet(
        match host.parse().map_err(|_| invalid())? {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(
                ip,
                port,
                address.flowinfo.unwrap_or(0),
                address.scope.unwrap_or(0),
            )),
        },
    ))
}

fn show(address: &Address) -> SocketAddress {
    let nothing = SocketAddress {
        path: None,
        host: None,
        port: None,
        flowinfo: None,
        scope: None,
    };
    match address {
        Address::Unix(path) => SocketAddress {
            path: Some(path.clone().into()),
            ..nothing
        },
        Address::Inet(inet) => {
            let (flowinfo, scope) = match inet {
                SocketAddr::V4(_) => (None, None),
                SocketAddr::V6(v6) => (Some(v6.flowinfo()), Some(v6.scope_id())),
            };
            SocketAddress {
                host: Some(inet.ip().to_string()),
                port: Some(inet.port().into()),
                flowinfo,
                scope,
                ..nothing
            }
        }
    }
}
