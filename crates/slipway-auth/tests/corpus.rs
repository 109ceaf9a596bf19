//! The fuzz corpus of signatures and policies (`fuzz/README.md`).

#[path = "../../../fuzz/decoders/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/decoders/auth.rs"]
mod decoders;

#[test]
fn signatures_are_answered_as_their_names_say() {
    corpus::check("sigv4", decoders::sigv4);
}

#[test]
fn policies_are_answered_as_their_names_say() {
    corpus::check("policy", decoders::policy);
}
