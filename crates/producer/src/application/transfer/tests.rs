use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::{Credential, CredentialId, Secret, UtcMillis};

use super::*;
use crate::{
    domain::{
        Caller, Change, Destinations, FurtherDestination, NewCredential, UserDestination,
        fixtures::{HOOK_SECRET, two_users, user as known_user, with_hooks},
    },
    ports::Executed,
};

/// A directory in memory. Its credentials have no versions.
struct Memory(Mutex<Arc<Directory>>);

impl Memory {
    fn new(directory: Directory) -> Self {
        Self(Mutex::new(Arc::new(directory)))
    }

    fn lines(&self) -> Vec<String> {
        export(&self.snapshot(), Secrets::Included).collect()
    }
}

#[async_trait]
impl DirectoryStore for Memory {
    fn snapshot(&self) -> Arc<Directory> {
        self.0.lock().unwrap().clone()
    }

    async fn execute(
        &self,
        commands: Vec<Command>,
        mode: Mode,
        _: &Caller,
    ) -> Result<Executed, StoreError> {
        let mut directory = Directory::clone(&self.snapshot());
        let mut effects = vec![];
        let mut refusals = vec![];
        for (place, command) in commands.iter().enumerate() {
            match directory.decide(command) {
                Ok(decision) => {
                    effects.push(decision.effect);
                    for change in decision.changes {
                        apply(&mut directory, change);
                    }
                }
                Err(reason) => refusals.push((place, reason)),
            }
        }
        if !refusals.is_empty() {
            return Err(StoreError::Refused(refusals));
        }
        let directory = Arc::new(directory);
        if mode == Mode::Commit {
            *self.0.lock().unwrap() = directory.clone();
        }
        Ok(Executed { directory, effects })
    }
}

fn apply(directory: &mut Directory, change: Change) {
    match change {
        Change::SaveUser { record, credential } => {
            let known = directory.user(record.id).cloned();
            let credential = match (credential, &record.token) {
                (NewCredential::FromToken, Some(token)) => new_credential(token),
                _ => known
                    .as_ref()
                    .unwrap()
                    .destinations
                    .first()
                    .credential
                    .clone(),
            };
            let first = UserDestination {
                destination: Arc::new(record.first()),
                credential,
            };
            let further = known.map(|user| user.destinations.further().to_vec());
            directory.insert_user(Arc::new(User {
                id: record.id,
                name: record.name,
                destinations: Destinations::new(first, further.unwrap_or_default()),
                created_at: UtcMillis(0),
                updated_at: UtcMillis(0),
            }));
        }
        Change::SaveDestinations(user, saved) => {
            let user = directory.user(user).unwrap().clone();
            let further = saved.into_iter().map(|saved| FurtherDestination {
                id: saved.record.id,
                place: UserDestination {
                    destination: Arc::new(saved.record.place.destination().clone()),
                    credential: match (saved.credential, &saved.record.credential) {
                        (NewCredential::FromToken, Some(token)) => new_credential(token),
                        _ => {
                            let known = user.destinations.find(saved.record.id).unwrap();
                            known.place.credential.clone()
                        }
                    },
                },
            });
            let first = user.destinations.first().clone();
            directory.insert_user(Arc::new(User {
                destinations: Destinations::new(first, further.collect()),
                ..(*user).clone()
            }));
        }
        Change::CreateApiToken(_) | Change::RevokeApiToken(_) => {
            unreachable!("no line is a token's")
        }
        Change::SaveGroup(record) => directory.insert_group(Arc::new(Group {
            id: record.id,
            name: record.name,
            desc: record.desc,
            created_at: UtcMillis(0),
            updated_at: UtcMillis(0),
        })),
        Change::Subscribe(group, user) => directory.insert_member(group, user),
        Change::Unsubscribe(group, user) => directory.remove_member(group, user),
        Change::RemoveUser(_) | Change::RemoveGroup(_) => panic!("an import removes nobody"),
    }
}

fn new_credential(token: &Token) -> Arc<Credential> {
    Arc::new(Credential {
        id: CredentialId(1),
        secret: Secret::new(token.secret().expose()),
    })
}

fn id(n: u128) -> String {
    uuid::Uuid::from_u128(n).to_string()
}

async fn import(
    store: &dyn DirectoryStore,
    text: &str,
    mode: Mode,
) -> Result<Imported, ImportError> {
    super::import(store, text, mode, &Caller::LOCAL).await
}

fn user_json(n: u128, name: &str, token: &str) -> String {
    let id = id(n);
    format!(r#"{{"type":"user","id":"{id}","name":"{name}","token":"{token}","channelId":"c{n}"}}"#)
}

fn group_json(n: u128, name: &str, users: &[u128]) -> String {
    let users: Vec<String> = users.iter().map(|n| id(*n)).collect();
    let id = id(n);
    format!(
        r#"{{"type":"group","id":"{id}","name":"{name}","desc":"those on call","users":{users:?}}}"#
    )
}

async fn import_into(directory: Directory, text: &str) -> Result<Imported, ImportError> {
    import(&Memory::new(directory), text, Mode::Commit).await
}

/// The line errors of an import that has to be refused.
async fn errors(directory: Directory, text: &str) -> Vec<(usize, String)> {
    let store = Memory::new(directory);
    let before = store.lines();
    let Err(ImportError::Lines(errors)) = import(&store, text, Mode::Commit).await else {
        panic!("it was imported: {text}");
    };
    assert_eq!(store.lines(), before, "nothing is imported");
    errors
        .into_iter()
        .map(|error| (error.line, error.message))
        .collect()
}

#[test]
fn an_export_has_a_line_for_each_user_then_each_group_by_name() {
    let lines: Vec<String> = export(&two_users(), Secrets::Included).collect();
    assert!(lines.iter().all(|line| line.ends_with('\n')));
    let (one, two) = (id(1), id(2));
    let expected = [
        format!(
            r#"{{"type":"user","id":"{one}","name":"ann","token":"token1","channelId":"channel1"}}"#
        ),
        format!(
            r#"{{"type":"user","id":"{two}","name":"ben","token":"token2","channelId":"channel2"}}"#
        ),
    ];
    assert_eq!(lines[0].trim_end(), expected[0]);
    assert_eq!(lines[1].trim_end(), expected[1]);
    let admins = format!(
        r#"{{"type":"group","id":"{two}","name":"admins","desc":"a description","users":["{one}"]}}"#
    );
    assert_eq!(lines[2].trim_end(), admins);
    assert_eq!(lines.len(), 5);
}

#[test]
fn an_export_without_secrets_holds_no_token() {
    let text: String = export(&two_users(), Secrets::LeftOut).collect();
    assert!(!text.contains("token"), "{text}");
    assert!(text.contains("channel1"));
}

#[tokio::test]
async fn an_export_imported_elsewhere_makes_the_same_directory() {
    let text: String = export(&two_users(), Secrets::Included).collect();
    let elsewhere = Memory::new(Directory::default());
    let imported = import(&elsewhere, &text, Mode::Commit).await.unwrap();
    let expected = Imported {
        users_created: 2,
        groups_created: 3,
        ..Imported::default()
    };
    assert_eq!(imported, expected);
    assert_eq!(elsewhere.lines().concat(), text);
}

#[tokio::test]
async fn a_repeated_import_changes_nothing() {
    for secrets in [Secrets::Included, Secrets::LeftOut] {
        let store = Memory::new(two_users());
        let before = store.lines();
        let text: String = export(&store.snapshot(), secrets).collect();
        let imported = import(&store, &text, Mode::Commit).await.unwrap();
        let expected = Imported {
            users_unchanged: 2,
            groups_unchanged: 3,
            ..Imported::default()
        };
        assert_eq!(imported, expected);
        assert_eq!(store.lines(), before);
    }
}

#[tokio::test]
async fn an_import_updates_what_it_names_and_leaves_the_rest() {
    let store = Memory::new(two_users());
    let text = [
        user_json(1, "anna", "token9"),
        group_json(2, "admins", &[2]),
    ]
    .join("\n");
    let imported = import(&store, &text, Mode::Commit).await.unwrap();
    let expected = Imported {
        users_updated: 1,
        groups_updated: 1,
        ..Imported::default()
    };
    assert_eq!(imported, expected);
    let snapshot = store.snapshot();
    let anna = snapshot.user_named("anna").unwrap();
    assert_eq!(
        anna.destinations.first().credential.secret.expose(),
        "token9"
    );
    assert!(snapshot.user_named("ben").is_some());
    let admins = snapshot.group_named("admins").unwrap().id;
    let members = snapshot.members(admins).map(|user| user.name.as_str());
    assert_eq!(members.collect::<Vec<_>>(), ["ben"]);
}

#[tokio::test]
async fn a_line_without_a_token_keeps_the_one_there_is_and_is_refused_for_a_new_user() {
    let line = |n| user_json(n, "anna", "").replace(r#""token":"","#, "");
    let store = Memory::new(two_users());
    import(&store, &line(1), Mode::Commit).await.unwrap();
    let anna = store.snapshot().user_named("anna").unwrap().clone();
    assert_eq!(
        anna.destinations.first().credential.secret.expose(),
        "token1"
    );
    let refused = errors(two_users(), &line(9)).await;
    let expected = "token must be given when a user is created.";
    assert_eq!(refused, [(1, expected.to_owned())]);
}

#[tokio::test]
async fn a_group_without_users_keeps_its_members() {
    let line = group_json(1, "everyone", &[]).replace(r#","users":[]"#, "");
    let store = Memory::new(two_users());
    import(&store, &line, Mode::Commit).await.unwrap();
    let snapshot = store.snapshot();
    let everyone = snapshot.group_named("everyone").unwrap().id;
    assert_eq!(snapshot.members(everyone).count(), 2);
}

#[tokio::test]
async fn a_group_may_stand_before_the_users_it_names() {
    let text = [group_json(1, "everyone", &[1]), user_json(1, "ann", "t")].join("\n");
    let imported = import_into(Directory::default(), &text).await.unwrap();
    assert_eq!((imported.users_created, imported.groups_created), (1, 1));
}

#[tokio::test]
async fn a_dry_run_says_what_an_import_would_do_and_does_not() {
    let store = Memory::new(two_users());
    let before = store.lines();
    let text = [user_json(1, "anna", "t"), user_json(9, "eve", "t")].join("\n");
    let imported = import(&store, &text, Mode::DryRun).await.unwrap();
    assert_eq!((imported.users_created, imported.users_updated), (1, 1));
    assert_eq!(store.lines(), before);
}

#[tokio::test]
async fn empty_lines_and_windows_line_ends_are_no_matter() {
    let text = format!("\r\n{}\r\n\n  \n", user_json(1, "ann", "t"));
    let imported = import_into(Directory::default(), &text).await.unwrap();
    assert_eq!(imported.users_created, 1);
    assert_eq!(
        import_into(Directory::default(), "").await,
        Ok(Imported::default())
    );
}

#[tokio::test]
async fn every_wrong_line_is_named_with_its_number_and_what_to_mend() {
    let ann = user_json(1, "ann", "t");
    let text = [
        ann.clone(),
        "{".to_owned(),
        String::new(),
        ann.replace(&id(1), "1"),
        user_json(2, "all", "t"),
        group_json(1, "four", &[]),
        group_json(2, "others", &[]).replace("those on call", "x"),
        group_json(3, "others", &[1]).replace(&id(1), "{}"),
        "[]".to_owned(),
        ann.replace("user", "robot"),
        ann.replace("channelId", "channel"),
    ]
    .join("\n");
    let errors = errors(Directory::default(), &text).await;
    let lines: Vec<usize> = errors.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 4, 5, 6, 7, 8, 9, 10, 11]);
    for ((_, message), part) in errors.iter().zip([
        "is not JSON",
        "an id is a UUID",
        "name must not be `all`",
        "name must be 5 to 30 characters",
        "desc must be 5 to 200 characters",
        "an id is a UUID",
        "is not a user or group",
        "is not a user or group",
        "is not a user or group",
    ]) {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn what_the_directory_refuses_is_named_by_its_line_too() {
    // The group comes first in the text and last in the directory.
    let text = [
        group_json(7, "others", &[99]),
        user_json(8, "eve", "t"),
        String::new(),
        user_json(9, "ann", "t"),
    ]
    .join("\n");
    let mut errors = errors(two_users(), &text).await;
    errors.sort();
    let expected = [
        (1, "The requested user does not exist.".to_owned()),
        (4, "User name already exists.".to_owned()),
    ];
    assert_eq!(errors, expected);
}

#[tokio::test]
async fn an_id_on_two_lines_is_refused_naming_both() {
    let text = [
        user_json(1, "ann", "t"),
        group_json(1, "everyone", &[]),
        user_json(2, "ben", "t"),
        user_json(1, "anna", "t"),
        group_json(1, "everybody", &[]),
    ]
    .join("\n");
    let errors = errors(Directory::default(), &text).await;
    let expected = [
        (4, "the id stands on line 1 already.".to_owned()),
        (5, "the id stands on line 2 already.".to_owned()),
    ];
    assert_eq!(errors, expected);
}

#[tokio::test]
async fn no_message_repeats_a_token() {
    let secret = "xoxb-very-secret";
    let line = user_json(1, "ann", secret);
    for wrong in [
        line.replace("\"token\":", "\"tokem\":"),
        line.replace("\"type\":\"user\",", ""),
        line.replace("\"type\":\"user\"", &format!("\"type\":\"{secret}\"")),
        line.replace(secret, &format!("{secret} with a space")),
        line.replace(secret, &format!("{secret}\\n")),
        line.replace(secret, &secret.repeat(200)),
        line.replace(&id(1), secret),
        line.replace("\"ann\"", &format!("\"{}\"", secret.repeat(3))),
        line.replace(&format!("\"{secret}\""), secret),
        line.replace(&format!("\"{secret}\""), &format!("{{\"{secret}\":1}}")),
        line.trim_end_matches('}').to_owned(),
        format!("{line}{line}"),
        secret.to_owned(),
    ] {
        let errors = errors(Directory::default(), &wrong).await;
        assert_eq!(errors.len(), 1, "{wrong}");
        assert!(!errors[0].1.contains("secret"), "{errors:?}");
    }
    let refused = import_into(two_users(), &user_json(9, "ann", secret)).await;
    let refused = refused.unwrap_err();
    assert!(
        !format!("{refused} {refused:?}").contains("secret"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_store_that_cannot_write_is_said_as_such() {
    struct Full;

    #[async_trait]
    impl DirectoryStore for Full {
        fn snapshot(&self) -> Arc<Directory> {
            Arc::default()
        }

        async fn execute(
            &self,
            _: Vec<Command>,
            _: Mode,
            _: &Caller,
        ) -> Result<Executed, StoreError> {
            Err(StoreError::Unwritable("the disk is full".into()))
        }
    }

    let refused = import(&Full, &user_json(1, "ann", "t"), Mode::Commit).await;
    let expected = StoreError::Unwritable("the disk is full".into());
    assert_eq!(refused, Err(ImportError::Store(expected)));
}

fn hook_json(n: u128, url: &str, credential: &str) -> String {
    let id = id(n);
    format!(r#"{{"id":"{id}","kind":"webhook","address":"{url}"{credential}}}"#)
}

fn with_destinations(destinations: &str) -> String {
    let id = id(1);
    format!(
        r#"{{"type":"user","id":"{id}","name":"ann","channelId":"channel1","destinations":[{destinations}]}}"#
    )
}

fn ann_with_a_hook() -> Directory {
    let mut directory = two_users();
    let ann = known_user(1, "ann", "channel1", 1);
    directory.insert_user(with_hooks(&ann, &[(7, "https://example.org/a", 7)]));
    directory
}

#[tokio::test]
async fn further_destinations_go_out_and_in_with_their_secrets_only_where_asked_for() {
    let directory = ann_with_a_hook();
    let without: String = export(&directory, Secrets::LeftOut).collect();
    assert!(without.contains("https://example.org/a") && !without.contains("whsec_"));
    let with: String = export(&directory, Secrets::Included).collect();
    assert!(with.contains(HOOK_SECRET));

    let elsewhere = Memory::new(Directory::default());
    import(&elsewhere, &with, Mode::Commit).await.unwrap();
    assert_eq!(elsewhere.lines().concat(), with);
    for text in [&with, &without] {
        let again = import_into(directory.clone(), text).await.unwrap();
        assert_eq!((again.users_updated, again.users_unchanged), (0, 2));
    }
}

#[tokio::test]
async fn a_line_without_destinations_keeps_them_and_an_empty_list_takes_them_away() {
    let store = Memory::new(ann_with_a_hook());
    let bare = format!(
        r#"{{"type":"user","id":"{}","name":"anna","channelId":"channel1"}}"#,
        id(1)
    );
    import(&store, &bare, Mode::Commit).await.unwrap();
    let further = |store: &Memory| {
        let user = store.snapshot().user_named("anna").cloned();
        user.map(|user| user.destinations.further().len())
    };
    assert_eq!(further(&store), Some(1));
    let none = with_destinations("").replace("\"ann\"", "\"anna\"");
    import(&store, &none, Mode::Commit).await.unwrap();
    assert_eq!(further(&store), Some(0));
}

#[tokio::test]
async fn destinations_that_cannot_be_are_refused_with_the_reason() {
    let key = format!(r#","credential":"{HOOK_SECRET}""#);
    let hook = |n| hook_json(n, "https://example.org/b", &key);
    for (destinations, reason) in [
        (
            hook_json(8, "ftp://example.org/", &key),
            "address must begin with https:// or http://.",
        ),
        (
            hook_json(8, "https://example.org/", ""),
            "credential must be given when a destination is created or its kind changes.",
        ),
        (
            hook_json(8, "https://example.org/", r#","credential":"x""#),
            "credential of a webhook must be `whsec_` followed by 24 to 64 bytes in base64.",
        ),
        (
            [hook(8), hook(9)].join(","),
            "The user has this destination already.",
        ),
        (hook(1), "The id is in use already."),
    ] {
        let text = with_destinations(&destinations);
        assert_eq!(errors(two_users(), &text).await, [(1, reason.to_owned())]);
    }
}
