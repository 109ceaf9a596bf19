//! The fuzz corpus of AppSpec files (`fuzz/README.md`).

#[path = "../../../fuzz/decoders/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/decoders/appspec.rs"]
mod decoders;

#[test]
fn files_are_answered_as_their_names_say() {
    corpus::check("appspec", decoders::appspec);
}
