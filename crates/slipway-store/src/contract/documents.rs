//! Documents.

use super::{account, application, assert_conflict, commit, given, key, other_account, other_region, scope};
use crate::Store;
use crate::change::{CommitError, Write};
use crate::rows::{Document, DocumentKey, Kind, Partition, RevisionQuery, RevisionTime};
use slipway_model::Timestamp;

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

/// A name that was given up and taken again is another thing: nobody changes, deletes or relies on it for the old one.
pub async fn a_document_is_never_taken_for_an_earlier_one_under_its_key(store: &impl Store) {
    let app = || key(Kind::Application, "", "a");
    let child = || Document { key: key(Kind::DeploymentGroup, "a", "g"), body: "1".to_owned(), version: 0 };
    let mut before: Vec<(Document, Document)> = Vec::new();
    for way in 0..4 {
        given(store, [Write::Insert(application("a", "1")), Write::Insert(child())]).await;
        if way == 2 {
            let a = store.document(&app()).await.unwrap().unwrap();
            given(store, [Write::Replace(a), Write::Put(child())]).await;
        }
        let a = store.document(&app()).await.unwrap().unwrap();
        let g = store.document(&child().key).await.unwrap().unwrap();
        for (old_a, old_g) in &before {
            let wrong = [
                Write::Replace(old_a.clone()),
                Write::Delete { key: app(), version: Some(old_a.version) },
                Write::Require { key: app(), version: old_a.version },
                Write::Replace(old_g.clone()),
                Write::Require { key: child().key, version: old_g.version },
            ];
            for wrong in wrong {
                assert_conflict(&commit(store, [wrong]).await);
            }
        }
        let version = (way == 0).then_some(a.version);
        let children = Write::DeleteChildren {
            partition: Partition::Regional(scope()),
            kind: Kind::DeploymentGroup,
            parent: "a".to_owned(),
        };
        given(store, [Write::Delete { key: app(), version }, children]).await;
        before.push((a, g));
    }
    given(store, [Write::Put(application("a", "1"))]).await;
    for (old, _) in before {
        assert_conflict(&commit(store, [Write::Replace(old)]).await);
    }
}

/// A parent that goes takes its children with it, all of them or not at all: one that came since they were listed is
/// not left behind, nor deleted without what belongs to it.
pub async fn a_parent_goes_with_the_children_that_were_seen_only(store: &impl Store) {
    let child = |name: &str| Document {
        key: key(Kind::DeploymentGroup, "a", name),
        body: "1".to_owned(),
        version: 0,
    };
    let end = |seen: &[&str]| {
        let mut change = vec![Write::Delete { key: key(Kind::Application, "", "a"), version: Some(1) }];
        change.extend(seen.iter().map(|name| Write::Delete { key: child(name).key, version: Some(1) }));
        change.push(Write::RequireNone {
            partition: Partition::Regional(scope()),
            kind: Kind::DeploymentGroup,
            parent: "a".to_owned(),
        });
        change
    };
    given(store, [Write::Insert(application("a", "1")), Write::Insert(child("seen"))]).await;
    // Created after the others were listed, while its parent was still there.
    let require = Write::Require { key: key(Kind::Application, "", "a"), version: 1 };
    given(store, [require.clone(), Write::Insert(child("new"))]).await;
    assert_conflict(&commit(store, end(&["seen"])).await);
    assert_eq!(names(store, None, 9).await, ["a"]);
    given(store, end(&["seen", "new"])).await;
    assert_conflict(&commit(store, [require, Write::Insert(child("late"))]).await);
    assert_eq!(store.document(&child("late").key).await.unwrap(), None);
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

/// What must not go while something uses it is guarded by the absence of uses, in the same commit.
pub async fn require_none_holds_while_a_parent_has_no_such_child(store: &impl Store) {
    let child =
        |kind, parent, name| Document { key: key(kind, parent, name), body: "{}".to_owned(), version: 0 };
    let none = || Write::RequireNone {
        partition: Partition::Regional(scope()),
        kind: Kind::ConfigUse,
        parent: "config".to_owned(),
    };
    given(
        store,
        [
            Write::Insert(child(Kind::ConfigUse, "config2", "g")),
            Write::Insert(child(Kind::Revision, "config", "g")),
        ],
    )
    .await;
    given(store, [none(), Write::Insert(child(Kind::ConfigUse, "config", "g"))]).await;
    assert_conflict(&commit(store, [none(), Write::Insert(application("a", "1"))]).await);
    assert_eq!(names(store, None, 9).await, Vec::<String>::new());
    given(store, [Write::Delete { key: key(Kind::ConfigUse, "config", "g"), version: None }, none()]).await;
}

/// CF-359: by each time, in both directions, in pages; what was never used comes before everything that was.
pub async fn revisions_are_listed_by_their_times_in_pages(store: &impl Store) {
    let revision = |parent: &str, name: &str, body: &str| {
        Write::Insert(Document { key: key(Kind::Revision, parent, name), body: body.to_owned(), version: 0 })
    };
    given(
        store,
        [
            revision("app", "a", r#"{"registered":30,"first_used":null,"last_used":null}"#),
            revision("app", "b", r#"{"registered":10,"first_used":40,"last_used":90}"#),
            revision("app", "c", r#"{"registered":20,"first_used":50,"last_used":60}"#),
            revision("app", "d", r#"{"registered":20}"#),
            revision("other", "e", r#"{"registered":20}"#),
        ],
    )
    .await;
    let body = r#"{"registered":20,"first_used":70,"last_used":70}"#;
    let moved = Document { key: key(Kind::Revision, "app", "d"), body: body.to_owned(), version: 1 };
    given(store, [Write::Replace(moved)]).await;
    let expected = [
        (RevisionTime::Registered, "bcda", [10, 20, 20, 30]),
        (RevisionTime::FirstUsed, "abcd", [0, 40, 50, 70]),
        (RevisionTime::LastUsed, "acdb", [0, 60, 70, 90]),
    ];
    for (by, ascending, times) in expected {
        for descending in [false, true] {
            let mut whole: Vec<(char, i64)> = ascending.chars().zip(times).collect();
            if descending {
                whole.reverse();
            }
            for from in 0..=whole.len() {
                let after = from.checked_sub(1).map(|last| whole[last]);
                let query = RevisionQuery {
                    partition: Partition::Regional(scope()),
                    application_id: "app".to_owned(),
                    by,
                    descending,
                    after: after.map(|(name, at)| (Timestamp(at), name.to_string())),
                    limit: 2,
                };
                let page = store.revisions(&query).await.unwrap();
                let listed: Vec<&str> = page.iter().map(|document| document.key.name.as_str()).collect();
                let rest: Vec<String> =
                    whole[from..].iter().take(2).map(|(name, _)| name.to_string()).collect();
                assert_eq!(listed, rest, "{by:?} descending {descending} from {from}");
            }
        }
    }
}
