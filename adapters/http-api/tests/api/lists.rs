//! Lists in pages.

use serde_json::{Value, json};

use crate::support::{Api, ONE};

fn names(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_list_answers_its_items_and_a_null_cursor_on_the_last_page() {
    let api = Api::new();
    let users = api.get("/v1/users").await.data();
    assert_eq!(names(&users), ["user_name1", "user_name2"]);
    assert_eq!(users.as_object().unwrap()["nextCursor"], Value::Null);
    let groups = api.get("/v1/noti-groups").await.data();
    assert_eq!(
        groups["items"][0],
        json!({"id": ONE, "name": "group_name1", "desc": "test_desc1",
            "users": [{"id": ONE, "name": "user_name1"}]})
    );
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let api = Api::new();
    api.store.add_users(25);
    let mut seen = Vec::new();
    let mut path = "/v1/users?limit=10".to_owned();
    loop {
        let page = api.get(&path).await.data();
        seen.extend(names(&page));
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/v1/users?limit=10&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..25)
        .map(|place| format!("many{place:06}"))
        .chain(["user_name1".to_owned(), "user_name2".to_owned()])
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_page_that_ends_with_the_list_has_no_cursor() {
    let api = Api::new();
    let page = api.get("/v1/users?limit=2").await.data();
    assert_eq!(page["nextCursor"], Value::Null);
    let page = api.get("/v1/users?limit=1").await.data();
    assert!(page["nextCursor"].is_string());
}

#[tokio::test]
async fn the_limit_is_100_unless_told_and_at_most_1000() {
    let api = Api::new();
    api.store.add_users(1200);
    assert_eq!(names(&api.get("/v1/users").await.data()).len(), 100);
    let page = api.get("/v1/users?limit=1000").await.data();
    assert_eq!(names(&page).len(), 1000);
}

#[tokio::test]
async fn a_limit_outside_1_to_1000_is_400_naming_it() {
    let api = Api::new();
    for path in ["/v1/users", "/v1/noti-groups"] {
        for limit in ["0", "1001", "-1", "x", "", "1.5", "99999999999999999999999"] {
            let answer = api.get(&format!("{path}?limit={limit}")).await;
            assert_eq!(answer.status, 400, "{limit}");
            assert_eq!(answer.envelope()["errors"][0]["field"], "limit");
            assert_eq!(
                answer.more_information(),
                "limit must be a number from 1 to 1000."
            );
        }
    }
}

#[tokio::test]
async fn a_cursor_that_is_not_this_lists_is_400() {
    let api = Api::new();
    let users = api.get("/v1/users?limit=1").await.data();
    let of_users = users["nextCursor"].as_str().unwrap();
    for cursor in ["x", "AAAA", "%00", "%F0%9F%98%80", of_users] {
        let answer = api.get(&format!("/v1/noti-groups?cursor={cursor}")).await;
        assert_eq!(answer.status, 400, "{cursor}");
        assert_eq!(answer.envelope()["errors"][0]["field"], "cursor");
    }
}

#[tokio::test]
async fn a_prefix_names_the_items_that_begin_so_decomposed_or_not() {
    use unicode_normalization::UnicodeNormalization;
    let api = Api::new();
    api.store.add_users(3);
    let page = api.get("/v1/users?name=many&limit=2").await.data();
    assert_eq!(names(&page), ["many000000", "many000001"]);
    let next = page["nextCursor"].as_str().unwrap();
    let page = api
        .get(&format!("/v1/users?name=many&cursor={next}"))
        .await
        .data();
    assert_eq!(names(&page), ["many000002"]);
    let body = json!({"name": "장애알림방", "desc": "a desc"}).to_string();
    api.json("POST", "/v1/noti-groups", body).await;
    let decomposed: String = "장애".nfd().collect();
    let encoded: String = decomposed
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    let page = api
        .get(&format!("/v1/noti-groups?name={encoded}"))
        .await
        .data();
    assert_eq!(names(&page), ["장애알림방"]);
    assert_eq!(names(&api.get("/v1/users?name=zzz").await.data()).len(), 0);
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_400() {
    let api = Api::new();
    for query in ["limit=1&limit=2", "name=a&name=b"] {
        let answer = api.get(&format!("/v1/users?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(
            answer.more_information(),
            "The request is invalid or cannot be processed."
        );
    }
}
