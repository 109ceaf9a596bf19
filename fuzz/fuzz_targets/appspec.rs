#![no_main]

#[path = "../decoders/appspec.rs"]
#[allow(dead_code, reason = "the other decoders of the module have targets of their own")]
mod decoders;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    decoders::appspec(input);
});
