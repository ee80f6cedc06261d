//! One process with a data folder.

use serde_json::json;
use tests::{
    harness::{LONG, Scratch, Site},
    search::{ByteSearch, Search},
};

use crate::{
    assert_nothing_in,
    caller::Caller,
    first_key, told_of,
    work::{
        add_hook, alert, be_refused, change_tokens, directory, look_at_everything, make_mistakes,
    },
    write_private,
};

#[test]
fn of_one_process_no_file_log_answer_or_listing_holds_a_secret() {
    let mut search = Search::default();
    let elsewhere = Scratch::new("canary-keys");
    let keys = elsewhere.join("keys");
    write_private(&keys, &search.key("the data folder", "k1"));
    let key_file = keys.to_str().unwrap();
    let site = Site::with(directory(&mut search), |options| {
        options
            .with("--secret-key-file", key_file)
            .with("--log-http", "full")
            .with("--log-level", "trace")
            .with("--webhook-allow", "127.0.0.0/8")
            .with("--ops-target", "@user2")
    });
    let mut caller = Caller::of(site.server.address(), &mut search);
    let user = site.directory.users[0].id.to_string();
    add_hook(&mut caller, &site.mockup, &mut search, &user);
    change_tokens(&mut caller, &mut search);
    alert(&mut caller, "well");
    make_mistakes(&mut caller, &mut search);
    let token = &site.directory.users[0].token;
    be_refused(&mut caller, &site.mockup, token);
    let mut logged = Search::default();
    let shaped = logged.slack_token_of("the text of an alert");
    let last = alert(&mut caller, &shaped);
    site.server.drain(LONG);
    let (status, rotated) = caller.json("POST", "/v1/secrets/rotate", &json!({}));
    assert_eq!((status, &rotated["data"]["keyId"]), (200, &json!("k2")));
    let new = first_key(&keys);
    search.made_elsewhere("the rotated data folder", new[3..].trim_end_matches('='));
    let after = alert(&mut caller, "after the rotation");
    caller.follow(&after);
    look_at_everything(&mut caller);
    site.server.drain(LONG);

    let mut texts = told_of(site.server.process.id());
    texts.append(&mut caller.shown);
    texts.retain(|(place, _)| !place.contains(&last));
    // While it runs, with the write-ahead log; and when it has ended.
    assert_nothing_in(&search, &[site.scratch.path()], &texts);
    let log = site.server.process.output();
    let found = ByteSearch::of(&logged).found_in(log.as_bytes());
    assert!(found.is_empty(), "{found:?}");
    assert!(
        log.lines()
            .filter(|line| line.contains("request_headers"))
            .count()
            > 20
    );
    let received = site.mockup.messages();
    assert!(
        received.iter().any(|one| one.token == *token),
        "it was used"
    );
    assert!(
        received.iter().any(|one| one.webhook.is_some()),
        "and so was the webhook"
    );
    let Site {
        server, scratch, ..
    } = site;
    server.stop();
    assert_nothing_in(&search, &[scratch.path()], &[]);
}
