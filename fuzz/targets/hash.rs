#![no_main]

use banyan::value::codec::kind;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    banyan_fuzz::check(&[kind::HASH, kind::HASH_ZIPMAP, kind::HASH_ZIPLIST, kind::HASH_LISTPACK], data);
});
