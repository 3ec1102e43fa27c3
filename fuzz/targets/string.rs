#![no_main]

use banyan::value::codec::kind;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    banyan_fuzz::check(&[kind::STRING], data);
});
