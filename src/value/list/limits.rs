//! How large a node may be, and what does not fit into any: Redis's rules, on which the encoding of
//! a list and the nodes of its dump depend.

/// Bytes of a node whose limit counts elements (`SIZE_SAFETY_LIMIT`).
const COUNTED_BYTES_MAX: usize = 8192;

/// Bytes of a node in the size classes -1 to -5.
const CLASS_BYTES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];

/// What the directives say about lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListLimits {
    /// `list-max-listpack-size`: the most elements of a node, or its size class, -1 to -5.
    pub node_size: i32,
    /// `list-compress-depth`: nodes at each end that are never compressed; 0: none is.
    pub compress_depth: u32,
    /// From how many bytes on an element gets a node of its own; 0: if it is longer than a node.
    /// (`DEBUG QUICKLIST-PACKED-THRESHOLD`)
    pub plain_len_min: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self {
            node_size: -2,
            compress_depth: 0,
            plain_len_min: 0,
        }
    }
}

impl ListLimits {
    /// The limit of nodes.
    pub(super) fn fill(&self) -> Fill {
        Fill(self.node_size)
    }

    /// The limit that a quicklist made now goes by as long as it lives.
    pub(super) fn fill_to_keep(&self) -> Fill {
        Fill(self.node_size.clamp(-5, i32::from(i16::MAX)))
    }

    /// Whether an element of `len` bytes gets a node of its own in a list with the limit `fill`.
    pub(super) fn is_large(&self, len: usize, fill: Fill) -> bool {
        match self.plain_len_min {
            0 => len > fill.bytes_max().unwrap_or(COUNTED_BYTES_MAX),
            min => len >= min,
        }
    }
}

/// The limit of a node: of its bytes if negative, of its elements otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fill(pub(super) i32);

impl Fill {
    /// Bytes of a node, if that is what is limited.
    fn bytes_max(self) -> Option<usize> {
        let class = usize::try_from(-i64::from(self.0)).ok()?.checked_sub(1)?;
        Some(CLASS_BYTES[class.min(CLASS_BYTES.len() - 1)])
    }

    /// Elements of a node where those are limited: one at least.
    fn count_max(self) -> usize {
        usize::try_from(self.0).unwrap_or(0).max(1)
    }

    /// Whether a node of so many bytes and elements is too large.
    #[inline]
    pub(super) fn is_exceeded(self, bytes: usize, count: usize) -> bool {
        match self.bytes_max() {
            Some(max) => bytes > max,
            None => bytes > COUNTED_BYTES_MAX || count > self.count_max(),
        }
    }

    /// Whether a list whose only node has so many bytes and elements may become a listpack; one
    /// that shrinks must have come down to half of the limit.
    pub(super) fn suits_listpack(self, bytes: usize, count: usize, shrinking: bool) -> bool {
        let part = if shrinking { 2 } else { 1 };
        match self.bytes_max() {
            Some(max) => bytes <= max / part,
            None => count <= self.count_max() / part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_limits_are_classes_of_bytes_and_others_numbers_of_elements() {
        for (fill, bytes, count, exceeded) in [
            (-1, 4096, 5000, false),
            (-1, 4097, 1, true),
            (-2, 8192, 1, false),
            (-5, 65_536, 1, false),
            (-6, 65_537, 1, true),
            (i32::MIN, 65_536, 1, false),
            (3, 8192, 3, false),
            (3, 100, 4, true),
            (3, 8193, 1, true),
            (0, 10, 1, false),
            (0, 10, 2, true),
        ] {
            assert_eq!(Fill(fill).is_exceeded(bytes, count), exceeded, "{fill}");
        }
    }

    #[test]
    fn a_shrinking_list_becomes_a_listpack_at_half_of_the_limit() {
        assert!(Fill(-2).suits_listpack(4096, 1, true));
        assert!(!Fill(-2).suits_listpack(4097, 1, true));
        assert!(Fill(-2).suits_listpack(8192, 1, false));
        assert!(Fill(7).suits_listpack(100, 3, true));
        assert!(!Fill(7).suits_listpack(100, 4, true));
        assert!(!Fill(1).suits_listpack(8, 1, true));
    }

    #[test]
    fn an_element_that_fits_into_no_node_is_large() {
        let by_node = ListLimits::default();
        assert!(!by_node.is_large(8192, Fill(-2)) && by_node.is_large(8193, Fill(-2)));
        assert!(!by_node.is_large(8192, Fill(100)) && by_node.is_large(8193, Fill(100)));
        let forced = ListLimits {
            plain_len_min: 5,
            ..by_node
        };
        assert!(!forced.is_large(4, Fill(-2)) && forced.is_large(5, Fill(-2)));
    }
}
