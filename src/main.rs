//! The server's entry.

use std::process::ExitCode;

/// Sized classes without per-allocation headers: what the memory figures rest on.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    banyan::server::main(std::env::args_os().skip(1))
}
