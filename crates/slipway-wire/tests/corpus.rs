//! The fuzz corpus of the codecs (`fuzz/README.md`).

#[path = "../../../fuzz/decoders/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/decoders/wire.rs"]
mod decoders;

#[test]
fn json_requests_are_answered_as_their_names_say() {
    corpus::check("json", decoders::json);
}

#[test]
fn cbor_requests_are_answered_as_their_names_say() {
    corpus::check("cbor", decoders::cbor);
}

#[test]
fn query_forms_are_answered_as_their_names_say() {
    corpus::check("query", decoders::query);
}
