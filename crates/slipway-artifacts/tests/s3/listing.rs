//! Listings: order, pages, prefixes.

use http::{Method, StatusCode};

use crate::lab::{Answer, Lab};

async fn lab(keys: &[&str]) -> Lab {
    let lab = Lab::with_bucket("releases").await;
    for key in keys {
        lab.put(&format!("/releases/{key}"), (*key).to_owned()).await.expect(StatusCode::OK);
    }
    lab
}

async fn list(lab: &Lab, query: &str) -> Answer {
    lab.get(&format!("/releases?list-type=2&{query}")).await.expect(StatusCode::OK)
}

/// Walks all pages and returns the keys and common prefixes in the order told.
async fn walk(lab: &Lab, query: &str) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = list(lab, &format!("{query}{token}")).await;
        keys.extend(page.tags("Key"));
        prefixes.extend(
            page.tags("CommonPrefixes").iter().map(|p| p.replace("<Prefix>", "").replace("</Prefix>", "")),
        );
        assert_eq!(
            page.tag("KeyCount").parse::<usize>().unwrap(),
            page.tags("Key").len() + page.tags("CommonPrefixes").len()
        );
        if page.tag("IsTruncated") == "false" {
            assert_eq!(page.tag("NextContinuationToken"), "");
            return (keys, prefixes);
        }
        token = format!("&continuation-token={}", page.tag("NextContinuationToken"));
    }
}

#[tokio::test]
async fn pages_together_are_the_whole_in_byte_order() {
    let keys = ["B", "a", "a/1", "a/2", "a0", "b", "%C3%A9", "z"];
    let lab = lab(&keys).await;
    let (all, _) = walk(&lab, "").await;
    assert_eq!(all, ["B", "a", "a/1", "a/2", "a0", "b", "z", "é"]);
    for size in 1..=9 {
        assert_eq!(walk(&lab, &format!("max-keys={size}")).await.0, all, "max-keys={size}");
    }
    assert_eq!(walk(&lab, "prefix=a").await.0, ["a", "a/1", "a/2", "a0"]);
    assert_eq!(list(&lab, "start-after=a/1&max-keys=2").await.tags("Key"), ["a/2", "a0"]);
    let none = list(&lab, "max-keys=0").await;
    assert_eq!((none.tag("KeyCount").as_str(), none.tag("IsTruncated").as_str()), ("0", "false"));
}

#[tokio::test]
async fn delimiter_rolls_up_and_no_page_repeats_a_prefix() {
    let lab = lab(&["a.txt", "app/1/x", "app/1/y", "app/2/x", "app/readme", "lib/x", "z.txt"]).await;
    for size in [1, 2, 3, 1000] {
        let (keys, prefixes) = walk(&lab, &format!("delimiter=/&max-keys={size}")).await;
        assert_eq!(
            (keys, prefixes),
            (vec!["a.txt".into(), "z.txt".into()], vec!["app/".into(), "lib/".into()])
        );
        let (keys, prefixes) = walk(&lab, &format!("delimiter=/&prefix=app/&max-keys={size}")).await;
        assert_eq!((keys, prefixes), (vec!["app/readme".into()], vec!["app/1/".into(), "app/2/".into()]));
    }
}

#[tokio::test]
async fn large_prefix_is_one_entry() {
    let lab = lab(&[]).await;
    for i in 0..150 {
        lab.put(&format!("/releases/many/{i:03}"), "x").await.expect(StatusCode::OK);
    }
    lab.put("/releases/zz", "x").await.expect(StatusCode::OK);
    let (keys, prefixes) = walk(&lab, "delimiter=/&max-keys=1").await;
    assert_eq!((keys, prefixes), (vec!["zz".into()], vec!["many/".into()]));
}

#[tokio::test]
async fn first_version_of_the_listing_pages_by_marker() {
    let lab = lab(&["a", "b/1", "b/2", "c"]).await;
    let first = lab.get("/releases?delimiter=/&max-keys=2").await.expect(StatusCode::OK);
    assert_eq!((first.tags("Key"), first.tag("NextMarker")), (vec!["a".to_owned()], "b/".to_owned()));
    let second = lab.get("/releases?delimiter=/&max-keys=2&marker=b/").await.expect(StatusCode::OK);
    assert_eq!((second.tags("Key"), second.tag("IsTruncated")), (vec!["c".to_owned()], "false".to_owned()));
    assert!(second.tags("CommonPrefixes").is_empty());
}

/// The AWS CLI always asks for this encoding and decodes what it gets.
#[tokio::test]
async fn keys_are_encoded_on_request() {
    let lab = lab(&["a%20b%2Bc/%26"]).await;
    assert_eq!(list(&lab, "encoding-type=url").await.tags("Key"), ["a%20b%2Bc/%26"]);
    assert_eq!(list(&lab, "").await.tags("Key"), ["a b+c/&amp;"]);
}

#[tokio::test]
async fn bad_tokens_and_limits_are_refused() {
    let lab = lab(&["a"]).await;
    for query in ["continuation-token=nonsense", "max-keys=-1"] {
        lab.get(&format!("/releases?list-type=2&{query}"))
            .await
            .expect_error(StatusCode::BAD_REQUEST, "InvalidArgument");
    }
    lab.as_alice(Method::GET, "/missing?list-type=2")
        .await
        .expect_error(StatusCode::NOT_FOUND, "NoSuchBucket");
}
