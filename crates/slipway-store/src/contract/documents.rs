//! Documents.

use super::{account, application, assert_conflict, commit, given, key, other_account, other_region, scope};
use crate::Store;
use crate::change::{CommitError, Write};
use crate::rows::{Document, DocumentKey, Kind, Partition};

async fn names(store: &impl Store, after: Option<&str>, limit: u32) -> Vec<String> {
    let place = Partition::Regional(scope());
    let found = store.documents(&place, Kind::Application, "", after, limit).await.unwrap();
    found.into_iter().map(|document| document.key.name).collect()
}

/// Text comes back byte for byte, under exactly its key.
pub async fn a_document_is_read_as_it_was_written(store: &impl Store) {
    let body = "{\"ü\":\"'\\\" \u{1F600}\"}";
    given(store, [Write::Insert(Document { version: 9, ..application("Shop 'a'", body) })]).await;
    let found = store.document(&key(Kind::Application, "", "Shop 'a'")).await.unwrap();
    assert_eq!(found, Some(Document { version: 1, ..application("Shop 'a'", body) }));
    assert_eq!(store.document(&key(Kind::Application, "", "shop 'a'")).await.unwrap(), None, "case matters");
}

/// The caller must be able to tell which of its inserts was one too many.
pub async fn an_insert_of_a_taken_key_names_the_key(store: &impl Store) {
    given(store, [Write::Insert(application("taken", "1"))]).await;
    let second =
        commit(store, [Write::Insert(application("free", "2")), Write::Insert(application("taken", "2"))])
            .await;
    let Err(CommitError::Exists { key: Some(named), .. }) = second else { panic!("{second:?}") };
    assert_eq!(named, key(Kind::Application, "", "taken"));
    let kept = store.document(&named).await.unwrap().unwrap();
    assert_eq!((kept.body.as_str(), kept.version), ("1", 1));
    assert_eq!(names(store, None, 9).await, ["taken"]);
}

/// Nobody overwrites what they have not seen.
pub async fn a_replacement_needs_the_version_that_was_read(store: &impl Store) {
    given(store, [Write::Insert(application("a", "1"))]).await;
    given(store, [Write::Replace(Document { version: 1, ..application("a", "2") })]).await;
    let stale = commit(store, [Write::Replace(Document { version: 1, ..application("a", "3") })]).await;
    assert_conflict(&stale);
    let absent = commit(store, [Write::Replace(Document { version: 1, ..application("b", "1") })]).await;
    assert_conflict(&absent);
    let found = store.document(&key(Kind::Application, "", "a")).await.unwrap();
    assert_eq!(found, Some(Document { version: 2, ..application("a", "2") }));
}

/// Of several who decided from the same version one wins, whether they share a group commit or not.
pub async fn concurrent_replacements_of_one_version_let_one_through(store: &impl Store) {
    given(store, [Write::Insert(application("a", "0"))]).await;
    let replace =
        |body: &str| commit(store, [Write::Replace(Document { version: 1, ..application("a", body) })]);
    let results = tokio::join!(replace("1"), replace("2"), replace("3"));
    let results: [_; 3] = results.into();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let winner = results.iter().position(Result::is_ok).unwrap();
    results.iter().filter(|result| result.is_err()).for_each(assert_conflict);
    let found = store.document(&key(Kind::Application, "", "a")).await.unwrap().unwrap();
    assert_eq!((found.body, found.version), ((winner + 1).to_string(), 2));
}

/// `Put` asks for no version but counts it.
pub async fn put_inserts_and_replaces(store: &impl Store) {
    given(store, [Write::Put(application("a", "1"))]).await;
    given(store, [Write::Put(application("a", "2"))]).await;
    let found = store.document(&key(Kind::Application, "", "a")).await.unwrap();
    assert_eq!(found, Some(Document { version: 2, ..application("a", "2") }));
}

/// With a version a deletion is conditional, without one it is not.
pub async fn a_deletion_at_a_version_needs_that_version(store: &impl Store) {
    let delete = |version| Write::Delete { key: key(Kind::Application, "", "a"), version };
    assert_conflict(&commit(store, [delete(Some(1))]).await);
    given(store, [delete(None)]).await;
    given(store, [Write::Insert(application("a", "1")), Write::Insert(application("b", "1"))]).await;
    assert_conflict(&commit(store, [delete(Some(2))]).await);
    assert_eq!(names(store, None, 9).await, ["a", "b"]);
    given(store, [delete(Some(1))]).await;
    assert_eq!(names(store, None, 9).await, ["b"]);
    given(store, [Write::Insert(application("a", "1"))]).await;
    given(store, [delete(None)]).await;
    assert_eq!(names(store, None, 9).await, ["b"]);
}

/// What a decision was based on can be guarded without being written.
pub async fn require_holds_only_at_that_version(store: &impl Store) {
    given(store, [Write::Insert(application("a", "1"))]).await;
    let require = |version| Write::Require { key: key(Kind::Application, "", "a"), version };
    given(store, [require(1), Write::Insert(application("b", "1"))]).await;
    assert_conflict(&commit(store, [Write::Insert(application("c", "1")), require(2)]).await);
    given(store, [Write::Delete { key: key(Kind::Application, "", "a"), version: None }]).await;
    assert_conflict(&commit(store, [require(1)]).await);
    assert_eq!(names(store, None, 9).await, ["b"]);
}

/// Pages are told by the last name; the order is that of the bytes, so that it is the same in every store.
pub async fn documents_are_listed_by_name_in_pages(store: &impl Store) {
    let shuffled = ["b", "a-1", "B", "é", "a", "a_1", "z"];
    given(store, shuffled.map(|name| Write::Insert(application(name, "{}")))).await;
    let sorted = ["B", "a", "a-1", "a_1", "b", "z", "é"];
    assert_eq!(names(store, None, 100).await, sorted);
    assert_eq!(names(store, None, 3).await, sorted[..3]);
    assert_eq!(names(store, Some("a-1"), 3).await, sorted[3..6]);
    assert_eq!(names(store, Some("z"), 3).await, sorted[6..]);
    assert_eq!(names(store, Some("a0"), 1).await, ["a_1"], "the last one listed may be gone");
    assert_eq!(names(store, Some("é"), 3).await, Vec::<String>::new());
    assert_eq!(names(store, None, 0).await, Vec::<String>::new());
    let place = Partition::Regional(scope());
    assert_eq!(store.count_documents(&place, Kind::Application, "").await.unwrap(), 7);
}

/// D-04: the same name elsewhere is something else.
pub async fn partitions_kinds_and_parents_see_nothing_of_each_other(store: &impl Store) {
    let places = [
        Partition::Regional(scope()),
        Partition::Regional(other_region()),
        Partition::Regional(other_account()),
        Partition::Account(account(1)),
        Partition::Installation,
    ];
    let keys: Vec<DocumentKey> = places
        .iter()
        .flat_map(|place| [(place, Kind::DeploymentGroup), (place, Kind::Revision)])
        .flat_map(|(place, kind)| {
            ["", "p", "p/x"].map(|parent| DocumentKey {
                partition: place.clone(),
                kind,
                parent: parent.to_owned(),
                name: "n".to_owned(),
            })
        })
        .collect();
    let document = |at: usize| Document { key: keys[at].clone(), body: at.to_string(), version: 1 };
    given(store, (0..keys.len()).map(|at| Write::Insert(document(at)))).await;
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(store.document(key).await.unwrap(), Some(document(at)));
        let listed = store.documents(&key.partition, key.kind, &key.parent, None, 10).await.unwrap();
        assert_eq!(listed, [document(at)]);
        assert_eq!(store.count_documents(&key.partition, key.kind, &key.parent).await.unwrap(), 1);
    }
    given(store, [Write::Delete { key: keys[0].clone(), version: Some(1) }]).await;
    assert_eq!(store.document(&keys[0]).await.unwrap(), None);
    for (at, key) in keys.iter().enumerate().skip(1) {
        assert_eq!(store.document(key).await.unwrap(), Some(document(at)), "only the one that was named");
    }
}

/// The children of one parent go, nobody else's.
pub async fn children_are_deleted_together(store: &impl Store) {
    let child =
        |kind, parent, name| Document { key: key(kind, parent, name), body: "{}".to_owned(), version: 0 };
    let rest = [
        child(Kind::Revision, "other", "1"),
        child(Kind::DeploymentGroup, "app", "1"),
        child(Kind::Revision, "app2", "1"),
    ];
    given(store, rest.clone().map(Write::Insert)).await;
    given(store, ["1", "2", "3"].map(|name| Write::Insert(child(Kind::Revision, "app", name)))).await;
    let place = Partition::Regional(scope());
    let delete =
        Write::DeleteChildren { partition: place.clone(), kind: Kind::Revision, parent: "app".to_owned() };
    given(store, [delete.clone()]).await;
    assert_eq!(store.count_documents(&place, Kind::Revision, "app").await.unwrap(), 0);
    for document in rest {
        assert!(store.document(&document.key).await.unwrap().is_some(), "{:?}", document.key);
    }
    given(store, [delete]).await;
}
