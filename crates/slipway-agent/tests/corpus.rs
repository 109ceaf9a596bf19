//! The fuzz corpus of bundles (`fuzz/README.md`).

#[path = "../../../fuzz/decoders/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/decoders/archive.rs"]
mod decoders;

#[test]
fn bundles_are_answered_as_their_names_say() {
    corpus::check("archive", decoders::archive);
}
