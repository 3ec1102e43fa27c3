//! Clients that break the rules. Each is answered as Redis answers it, or dropped, and the server
//! goes on serving.

#[path = "../support/mod.rs"]
mod support;

mod limits;
mod malformed;
mod owed;
mod payloads;
mod sockets;
mod subscribers;

use support::resp::Value;
use support::server::Server;

/// The server must still do its work, for old connections and new ones.
fn assert_serving(server: &mut Server) {
    assert!(server.running(), "the server ended");
    let mut client = server.client();
    client.must("SET still serving");
    assert_eq!(client.call("GET still"), Value::bulk("serving"));
}
