#![no_main]

use banyan::value::codec::kind;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    banyan_fuzz::check(&[kind::SET, kind::SET_INTSET, kind::SET_LISTPACK], data);
});
