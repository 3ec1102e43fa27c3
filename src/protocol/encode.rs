//! Requests as bytes: what the replication stream and the append-only file are made of.

use super::integer;

/// Appends a whole request.
pub fn request(out: &mut Vec<u8>, args: &[&[u8]]) {
    write_request(out, args.iter().copied());
}

/// Appends a whole request whose arguments come from an iterator.
pub fn write_request<'a>(out: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    header(out, args.len());
    args.for_each(|arg| bulk(out, arg));
}

/// Appends the header of a request of `n` arguments; exactly `n` calls of [`bulk`] must follow.
#[inline]
pub fn header(out: &mut Vec<u8>, n: usize) {
    integer::length_line(out, b'*', n);
}

/// Appends one argument.
#[inline]
pub fn bulk(out: &mut Vec<u8>, data: &[u8]) {
    out.reserve(data.len() + 24); // sigil, at most 19 digits, two line ends
    integer::length_line(out, b'$', data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_multibulk() {
        let mut out = Vec::new();
        request(&mut out, &[b"SET", b"", b"0123456789"]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$10\r\n0123456789\r\n");
    }
}
