//! Lists: every list is written as a quicklist of listpacks and large elements, which Redis reads
//! from 7.0 on; the three older forms are read too.
//!
//! ```text
//! LIST              count  string*                      one string an element
//! LIST_ZIPLIST      string                              a ziplist
//! LIST_QUICKLIST    count  string*                      one ziplist a node
//! LIST_QUICKLIST_2  count  (container:len  string)*     1: a large element, 2: a listpack
//! ```

use super::legacy::read_ziplist;
use super::primitive::{write_packed, write_string_with};
use super::{CodecError, Compression, Reader, Text, kind, lzf, write_len};
use crate::value::list::{Builder, List, ListLimits, NodeBytes};
use crate::value::listpack::Listpack;

/// The container of a node that is one large element, and of one that is a listpack.
const PLAIN: u64 = 1;
const PACKED: u64 = 2;

/// Appends the payload of a list.
pub(super) fn write_list(out: &mut Vec<u8>, list: &List, compression: Compression) {
    write_len(out, list.node_count() as u64);
    for at in 0..list.node_count() {
        if let Some(node) = list.node(at) {
            write_node(out, node, compression);
        }
    }
}

/// Appends one node of a list's payload.
pub(super) fn write_node(out: &mut Vec<u8>, node: NodeBytes<'_>, compression: Compression) {
    write_len(out, if node.is_plain { PLAIN } else { PACKED });
    match node.unpacked_len {
        None => write_string_with(out, node.bytes, compression),
        Some(len) if compression == Compression::Lzf => write_packed(out, node.bytes, len),
        Some(len) => {
            let bytes = lzf::decompress(node.bytes, len as usize);
            let bytes = bytes.expect("a list can read what it compressed");
            write_string_with(out, &bytes, Compression::None);
        }
    }
}

/// Reads a list of type `kind`.
pub(super) fn read_list(
    kind: u8,
    reader: &mut Reader<'_>,
    limits: &ListLimits,
) -> Result<List, CodecError> {
    let mut list = Builder::new(limits);
    if kind == kind::LIST_ZIPLIST {
        let listpack = listpack_of_ziplist(&reader.string()?)?;
        return List::from_listpack(listpack, limits).ok_or(CodecError::Empty);
    }
    for _ in 0..reader.plain_len()? {
        match kind {
            kind::LIST => reader.string()?.with(|element| list.element(element)),
            kind::LIST_QUICKLIST => list.listpack(listpack_of_ziplist(&reader.string()?)?),
            _ => read_node(reader, &mut list)?,
        }
    }
    list.finish().ok_or(CodecError::Empty)
}

fn read_node(reader: &mut Reader<'_>, list: &mut Builder<'_>) -> Result<(), CodecError> {
    let container = reader.plain_len()?;
    let text = reader.string()?;
    match container {
        PLAIN => text.with(|element| match element.is_empty() {
            true => Err(CodecError::Corrupt("an empty node of a list")),
            false => {
                list.plain(element);
                Ok(())
            }
        }),
        PACKED => {
            let listpack = Listpack::from_bytes(text.into_bytes());
            list.listpack(listpack.map_err(|_| CodecError::Corrupt("malformed listpack"))?);
            Ok(())
        }
        _ => Err(CodecError::Corrupt("unknown container of a list's node")),
    }
}

fn listpack_of_ziplist(text: &Text<'_>) -> Result<Listpack, CodecError> {
    let mut listpack = Listpack::new();
    text.with(|ziplist| {
        read_ziplist(ziplist, |element| {
            element.with(|element| match listpack.fits(element.len()) {
                true => {
                    listpack.push_back(element);
                    Ok(())
                }
                false => Err(CodecError::TooLong),
            })
        })
    })?;
    listpack.shrink_to_fit();
    Ok(listpack)
}

#[cfg(test)]
mod tests;
