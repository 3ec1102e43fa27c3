#![no_main]

use banyan::value::codec::kind;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    banyan_fuzz::check(&[kind::LIST, kind::LIST_ZIPLIST, kind::LIST_QUICKLIST, kind::LIST_QUICKLIST_2], data);
});
