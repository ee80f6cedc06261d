//! Groups and subscriptions.

use serde_json::{Value, json};

use super::case::{NO_GROUP, NO_USER, alert, case};
use crate::support::{Api, NOBODY, ONE, TWO, request};

#[tokio::test]
async fn groups_are_created_and_refused_as_the_contract_says() {
    let post = |says, name: &str, desc: &str, status| {
        case(
            says,
            "POST",
            "/v1/noti-groups",
            json!({"name": name, "desc": desc}),
            status,
        )
    };
    let empty = |name: &str, desc: &str| json!({"name": name, "desc": desc, "users": []});
    let long = |length| "x".repeat(length);
    let cases = [
        post("a group", "group_name3", "test_desc3", 201).gives(empty("group_name3", "test_desc3")),
        post("name of 4", "four", "test_desc", 400).informs("name must be 5 to 30 characters long, and has 4."),
        post("name of 5", "five5", "test_desc", 201),
        post("name of 30", &long(30), "test_desc", 201),
        post("name of 31", &long(31), "test_desc", 400).informs("name must be 5 to 30 characters long, and has 31."),
        post("desc of 4", "a_name", "four", 400).informs("desc must be 5 to 200 characters long, and has 4."),
        post("desc of 5", "a_name", "five5", 201),
        post("desc of 200", "a_name", &long(200), 201),
        post("desc of 201", "a_name", &long(201), 400).informs("desc must be 5 to 200 characters long, and has 201."),
        post("`장애알림방` (5) is a group's name", "장애알림방", "test_desc", 201).gives(empty("장애알림방", "test_desc")),
        post("`장애알림` (4) is not", "장애알림", "test_desc", 400),
        post("a control character", "a\u{0}name", "test_desc", 400).informs("name must not hold control characters."),
        post("a line break", "a_name", "a\ndesc", 400).informs("desc must not hold control characters."),
        post("a leading space", " a_name", "test_desc", 400).informs("name must not begin or end with white space."),
        post("a trailing space", "a_name", "test_desc ", 400).informs("desc must not begin or end with white space."),
        post("name taken", "group_name1", "test_desc", 409).informs("Noti group name already exists."),
        post("the name with another case is free", "Group_name1", "test_desc", 201),
        case("no name", "POST", "/v1/noti-groups", json!({"desc": "a_desc"}), 400).informs("name must be given."),
        case("no desc", "POST", "/v1/noti-groups", json!({"name": "a_name"}), 400).informs("desc must be given."),
        case("further fields are passed over", "POST", "/v1/noti-groups",
            json!({"name": "a_name", "desc": "a_desc", "color": "red"}), 201),
        case("with a member", "POST", "/v1/noti-groups", json!({"name": "a_name", "desc": "a_desc", "users": [ONE]}), 201)
            .gives(json!({"name": "a_name", "desc": "a_desc", "users": [{"id": ONE, "name": "user_name1"}]})),
        case("with an unknown member", "POST", "/v1/noti-groups",
            json!({"name": "a_name", "desc": "a_desc", "users": [NOBODY]}), 404).informs(NO_USER),
    ];
    for case in cases {
        case.hold().await;
    }
}

#[tokio::test]
async fn subscriptions_are_made_and_refused_as_the_contract_says() {
    let pair = |group: &str, user: &str| json!({"notiGroupId": group, "userId": user});
    let subscribe = |says, group, user, status| {
        case(
            says,
            "POST",
            "/v1/noti-groups/subscribe",
            pair(group, user),
            status,
        )
    };
    subscribe("a subscription", ONE, TWO, 204).hold().await;
    subscribe("no such group", NOBODY, ONE, 404)
        .informs(NO_GROUP)
        .hold()
        .await;
    subscribe("no such user", ONE, NOBODY, 404)
        .informs(NO_USER)
        .hold()
        .await;
    subscribe("there already", ONE, ONE, 409)
        .informs("Subscription already exists.")
        .hold()
        .await;
    let path = "/v1/noti-groups/subscribe";
    case("no group", "POST", path, json!({"userId": ONE}), 400)
        .informs("notiGroupId must be given.")
        .hold()
        .await;
    case("no user", "POST", path, json!({"notiGroupId": ONE}), 400)
        .informs("userId must be given.")
        .hold()
        .await;
    for method in ["DELETE", "POST"] {
        for (says, group, user) in [
            ("a subscription ended", ONE, ONE),
            ("no such subscription", ONE, TWO),
            ("no such group", NOBODY, ONE),
            ("no such user", ONE, NOBODY),
        ] {
            case(
                says,
                method,
                "/v1/noti-groups/unsubscribe",
                pair(group, user),
                204,
            )
            .hold()
            .await;
        }
    }
}

#[tokio::test]
async fn a_created_group_is_at_its_location_under_a_new_id() {
    let api = Api::new();
    let body = json!({"name": "group_name3", "desc": "test_desc3"}).to_string();
    let answer = api.json("POST", "/v1/noti-groups?x=1", body).await;
    let id = answer.data()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        answer.header("location"),
        Some(format!("/v1/noti-groups/{id}").as_str())
    );
    let found = api.get(answer.header("location").unwrap()).await;
    assert_eq!(found.data(), answer.data());
}

#[tokio::test]
async fn putting_a_group_keeps_members_left_out_and_replaces_those_given() {
    let api = Api::new();
    let path = format!("/v1/noti-groups/{ONE}");
    let put = async |users: Value| {
        let mut body = json!({"name": "group_name1", "desc": "another desc"});
        if !users.is_null() {
            body["users"] = users;
        }
        api.json("PUT", &path, body.to_string()).await
    };
    let one = json!([{"id": ONE, "name": "user_name1"}]);
    let two = json!([{"id": TWO, "name": "user_name2"}]);
    let kept = put(Value::Null).await;
    assert_eq!(
        (kept.status.as_u16(), kept.data()["users"].clone()),
        (200, one.clone())
    );
    assert_eq!(kept.data()["desc"], "another desc");
    assert_eq!(put(json!([TWO])).await.data()["users"], two);
    // As it was shown, it can be put back.
    assert_eq!(put(one.clone()).await.data()["users"], one);
    assert_eq!(put(json!([])).await.data()["users"], json!([]));
    let unknown = put(json!([NOBODY])).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.more_information(), NO_USER);
    let taken = json!({"name": "group_name2", "desc": "another desc"}).to_string();
    let taken = api.json("PUT", &path, taken).await;
    assert_eq!(taken.status, 409);
    assert_eq!(taken.more_information(), "Noti group name already exists.");
    let new = json!({"name": "group_name9", "desc": "another desc"}).to_string();
    let path = format!("/v1/noti-groups/{NOBODY}");
    let new = api.json("PUT", &path, new).await;
    assert_eq!(new.status, 201);
    assert_eq!(new.header("location"), Some(path.as_str()));
    assert_eq!(new.data()["users"], json!([]));
}

#[tokio::test]
async fn memberships_go_when_either_side_is_deleted() {
    let api = Api::new();
    let body = json!({"notiGroupId": TWO, "userId": ONE}).to_string();
    api.json("POST", "/v1/noti-groups/subscribe", body).await;
    let gone = api
        .send(
            request("DELETE", &format!("/v1/noti-groups/{ONE}"))
                .body("".into())
                .unwrap(),
        )
        .await;
    assert_eq!((gone.status.as_u16(), gone.text()), (204, ""));
    let user = api.get(&format!("/v1/users/{ONE}")).await;
    assert_eq!(
        user.data()["groups"],
        json!([{"id": TWO, "name": "group_name2"}])
    );
    let gone = api
        .send(
            request("DELETE", &format!("/v1/users/{ONE}"))
                .body("".into())
                .unwrap(),
        )
        .await;
    assert_eq!((gone.status.as_u16(), gone.text()), (204, ""));
    let group = api.get(&format!("/v1/noti-groups/{TWO}")).await;
    assert_eq!(group.data()["users"], json!([]));
}

#[tokio::test]
async fn subscribing_and_unsubscribing_show_in_the_group() {
    let api = Api::new();
    let body = json!({"notiGroupId": ONE, "userId": TWO}).to_string();
    let path = format!("/v1/noti-groups/{ONE}");
    api.json("POST", "/v1/noti-groups/subscribe", body.clone())
        .await;
    assert_eq!(
        api.get(&path).await.data()["users"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    api.json("DELETE", "/v1/noti-groups/unsubscribe", body.clone())
        .await;
    assert_eq!(
        api.get(&path).await.data()["users"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    api.json("POST", "/v1/noti-groups/subscribe", body.clone())
        .await;
    api.json("POST", "/v1/noti-groups/unsubscribe", body).await;
    assert_eq!(
        api.get(&path).await.data()["users"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn decomposed_names_and_targets_are_the_composed_ones() {
    use unicode_normalization::UnicodeNormalization;
    let api = Api::new();
    let decomposed: String = "장애알림방".nfd().collect();
    assert_ne!(decomposed, "장애알림방");
    let body = json!({"name": decomposed, "desc": "a desc", "users": [ONE]}).to_string();
    let answer = api.json("POST", "/v1/noti-groups", body).await;
    assert_eq!(answer.data()["name"], "장애알림방");
    for name in ["장애알림방", &decomposed] {
        let body = alert(json!([format!("@@{name}")]), json!("low"), json!("m"));
        assert_eq!(api.alert(body.to_string()).await.data()["userCount"], 1);
    }
}
