#![no_main]

use banyan::value::codec::kind;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    banyan_fuzz::check(&[kind::SORTED_SET, kind::SORTED_SET_2, kind::SORTED_SET_ZIPLIST, kind::SORTED_SET_LISTPACK], data);
});
