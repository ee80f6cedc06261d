use std::sync::Mutex;

use async_trait::async_trait;
use common::{ApiTokenId, Now, UtcMillis};

use super::*;
use crate::{
    domain::{
        ApiToken, ApiTokenName, ApiTokenRecord, ApiTokenSecret, Caller, Command, Directory, Grant,
        Scope, Who,
        fixtures::{group_id, two_users, user, user_id, with_hooks},
    },
    ports::{Executed, Mode, StoreError},
};

const NOW: UtcMillis = UtcMillis(1_795_392_000_000);

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Now {
        Now {
            mono: std::time::Duration::ZERO,
            utc: NOW,
        }
    }
}

/// A directory that only reads.
struct Fixed(Arc<Directory>);

#[async_trait]
impl DirectoryStore for Fixed {
    fn snapshot(&self) -> Arc<Directory> {
        self.0.clone()
    }

    async fn execute(&self, _: Vec<Command>, _: Mode, _: &Caller) -> Result<Executed, StoreError> {
        Err(StoreError::Failed("it only reads".into()))
    }
}

/// A queue that gives one answer and keeps what it was handed.
struct Recorder {
    answer: Result<Acceptance, AcceptError>,
    taken: Mutex<Vec<(AcceptedAlert, Option<IdempotencyKey>)>>,
}

#[async_trait]
impl AlertQueue for Recorder {
    async fn accept(
        &self,
        accepted: AcceptedAlert,
        key: Option<IdempotencyKey>,
    ) -> Result<Acceptance, AcceptError> {
        self.taken.lock().unwrap().push((accepted, key));
        self.answer.clone()
    }

    fn health(&self) -> Result<(), String> {
        Err("the disk is full".into())
    }
}

/// Remembers what was told.
#[derive(Default)]
struct Told(Mutex<Vec<Mishap>>);

impl Mishaps for Told {
    fn happened(&self, mishap: Mishap) {
        self.0.lock().unwrap().push(mishap);
    }
}

struct Rig {
    alerts: Alerts,
    mishaps: Arc<Told>,
    queue: Arc<Recorder>,
    metrics: AlertMetrics,
}

impl Rig {
    /// ann and ben, and a queue that accepts.
    fn new() -> Self {
        Self::over(two_users(), Ok(Acceptance::Accepted))
    }

    fn answering(answer: Result<Acceptance, AcceptError>) -> Self {
        Self::over(two_users(), answer)
    }

    fn over(directory: Directory, answer: Result<Acceptance, AcceptError>) -> Self {
        let queue = Arc::new(Recorder {
            answer,
            taken: Mutex::default(),
        });
        let metrics = AlertMetrics::default();
        let mishaps = Arc::new(Told::default());
        let alerts = Alerts::new(
            Arc::new(Fixed(Arc::new(directory))),
            queue.clone(),
            Arc::new(StoppedClock),
            metrics.clone(),
            mishaps.clone(),
        );
        Self {
            alerts,
            mishaps,
            queue,
            metrics,
        }
    }

    async fn accept(&self, targets: &[&str]) -> Result<AlertReceipt, NotAccepted> {
        let caller = Caller::LOCAL;
        self.alerts
            .accept(request(targets), gtid(), &caller, None)
            .await
    }

    async fn accept_with_key(&self, request: AlertRequest) -> Result<AlertReceipt, NotAccepted> {
        let key = Some("key1".to_owned());
        let caller = Caller::LOCAL;
        self.alerts.accept(request, gtid(), &caller, key).await
    }

    /// As the holder of token 7, which is restricted to those groups.
    async fn accept_restricted(
        &self,
        targets: &[&str],
        groups: Option<&[u128]>,
    ) -> Result<AlertReceipt, NotAccepted> {
        let key = Some("key1".to_owned());
        let caller = token_holder(groups);
        self.alerts
            .accept(request(targets), gtid(), &caller, key)
            .await
    }

    /// What the queue was handed last.
    fn taken(&self) -> (AcceptedAlert, Option<IdempotencyKey>) {
        self.queue.taken.lock().unwrap().last().unwrap().clone()
    }

    /// The metrics' lines that hold `name`.
    fn metric(&self, name: &str) -> Vec<String> {
        let mut registry = prometheus_client::registry::Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(str::to_owned).collect()
    }
}

fn gtid() -> Gtid {
    Gtid::parse("request-1").unwrap()
}

fn parse(targets: &[&str], severity: &str, message: &str) -> Result<AlertRequest, Invalid> {
    let targets: Vec<String> = targets.iter().map(|text| (*text).to_owned()).collect();
    AlertRequest::parse(&targets, severity, message)
}

fn request(targets: &[&str]) -> AlertRequest {
    parse(targets, "high", "node1 down").unwrap()
}

#[test]
fn a_request_within_its_limits_is_read() {
    let longest = "가".repeat(MAX_MESSAGE);
    for severity in ["high", "HIGH", "Normal", "lOw"] {
        for message in ["x", "  x  ", "line\nline", longest.as_str()] {
            assert!(parse(&["@ann"], severity, message).is_ok(), "{severity}");
        }
    }
    assert!(parse(&["@ann"; MAX_TARGETS], "low", "x").is_ok());
    assert!(
        parse(&[""], "low", "x").is_ok(),
        "a target that matches nobody"
    );
}

#[test]
fn a_request_beyond_a_limit_is_refused_naming_the_field_and_the_limit() {
    let severities = "severity Severity should be one of the following values: high, normal, low.";
    let long = "가".repeat(MAX_MESSAGE + 1);
    let many = ["@ann"; MAX_TARGETS + 1];
    let ann = &["@ann"][..];
    for (targets, severity, message, expected) in [
        (
            &[][..],
            "high",
            "x",
            "target must name at least one target.",
        ),
        (
            &many,
            "high",
            "x",
            "target must name at most 10000 targets.",
        ),
        (ann, "", "x", "severity must be given."),
        (ann, "urgent", "x", severities),
        (ann, " high", "x", severities),
        (ann, "ＨＩＧＨ", "x", severities),
        (ann, "high", "", "message must not be empty."),
        (ann, "high", " \n\t\u{3000}", "message must not be empty."),
        (
            ann,
            "high",
            &long,
            "message must have at most 40000 characters.",
        ),
    ] {
        let refusal = parse(targets, severity, message).unwrap_err();
        assert_eq!(refusal.to_string(), expected);
    }
}

#[test]
fn targets_are_normalised_and_the_message_is_left_as_it_came() {
    let decomposed = "@\u{1100}\u{1161}";
    let request = parse(&[decomposed], "low", decomposed).unwrap();
    assert_eq!(&*request.targets[0], "@가");
    assert_eq!(&*request.message, decomposed);
}

#[tokio::test]
async fn an_alert_is_handed_to_the_queue_with_a_delivery_for_each_recipient() {
    let rig = Rig::new();
    let receipt = rig.accept(&["@@everyone", "@ann"]).await.unwrap();
    let (AcceptedAlert { alert, deliveries }, key) = rig.taken();
    assert_eq!(alert.id.0, receipt.alert_id);
    assert_eq!(alert.gtid, gtid());
    assert_eq!(alert.severity, Severity::High);
    assert_eq!(&*alert.message, "node1 down");
    assert_eq!(alert.targets, ["@@everyone".into(), "@ann".into()].into());
    assert_eq!(alert.accepted_at, NOW);
    let mut told: Vec<_> = deliveries
        .iter()
        .map(|delivery| (delivery.recipients[0].user, &*delivery.destination.address))
        .collect();
    told.sort();
    assert_eq!(told, [(user_id(1), "channel1"), (user_id(2), "channel2")]);
    assert!(key.is_none());
}

#[tokio::test]
async fn a_receipt_counts_users_and_names_the_targets_that_matched_nobody() {
    let rig = Rig::new();
    let targets = ["@ann", "@eve", "ann", "@@nobody", "@@everyone", "@@ghosts"];
    let receipt = rig.accept(&targets).await.unwrap();
    assert_eq!(receipt.user_count, 2);
    let unknown = ["@eve", "ann", "@@nobody", "@@ghosts"];
    assert_eq!(receipt.unknown_targets, unknown);
    assert_eq!(receipt.alert_id.get_version_num(), 7);
    assert!(!receipt.replayed);
}

#[tokio::test]
async fn two_users_on_one_channel_with_one_token_are_one_delivery_and_two_users() {
    let mut directory = two_users();
    directory.insert_user(user(3, "carl", "channel1", 1));
    let rig = Rig::over(directory, Ok(Acceptance::Accepted));
    let receipt = rig.accept(&["@all"]).await.unwrap();
    assert_eq!(receipt.user_count, 3);
    let (accepted, _) = rig.taken();
    assert_eq!(accepted.deliveries.len(), 2);
    assert_eq!(accepted.user_count(), 3);
}

#[tokio::test]
async fn a_user_with_several_destinations_is_one_user_in_receipt_alert_and_preview() {
    let mut directory = two_users();
    let hooks = [(11, "https://example.org/a", 7)];
    directory.insert_user(with_hooks(&user(1, "ann", "channel1", 1), &hooks));
    let rig = Rig::over(directory, Ok(Acceptance::Accepted));
    assert_eq!(rig.accept(&["@ann"]).await.unwrap().user_count, 1);
    let (accepted, _) = rig.taken();
    assert_eq!(accepted.deliveries.len(), 2);
    assert_eq!(accepted.user_count(), 1);
    let request = AlertRequest::parse(&["@ann".to_owned()], "low", "x").unwrap();
    assert_eq!(
        rig.alerts
            .preview(&request, &Caller::LOCAL)
            .unwrap()
            .recipients
            .len(),
        1
    );
}

#[tokio::test]
async fn an_alert_that_reaches_nobody_is_accepted_and_counted_as_such() {
    let rig = Rig::new();
    let receipt = rig.accept(&["@eve"]).await.unwrap();
    assert_eq!(receipt.user_count, 0);
    assert!(rig.taken().0.deliveries.is_empty());
    assert_eq!(
        rig.metric("alerts_reached_nobody_total"),
        ["alerts_reached_nobody_total 1"]
    );
    let in_vain = Mishap::ReachedNobody {
        alert: AlertId(receipt.alert_id),
        target: "@eve".into(),
    };
    assert_eq!(*rig.mishaps.0.lock().unwrap(), [in_vain]);
}

#[tokio::test]
async fn an_alert_that_reaches_somebody_or_was_accepted_earlier_is_no_mishap() {
    let rig = Rig::new();
    rig.accept(&["@ann", "@eve"]).await.unwrap();
    let replayed = Rig::answering(Ok(Acceptance::Replayed {
        answer: format!(
            r#"{{"userCount":0,"alertId":"{}","unknownTargets":["@eve"]}}"#,
            Uuid::nil()
        ),
    }));
    replayed.accept_with_key(request(&["@eve"])).await.unwrap();
    for rig in [rig, replayed] {
        assert!(rig.mishaps.0.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn accepted_alerts_and_their_recipients_are_counted_by_severity() {
    let rig = Rig::new();
    rig.accept(&["@all"]).await.unwrap();
    rig.accept(&["@ann"]).await.unwrap();
    let accepted = "alerts_accepted_total{severity=\"high\"} 2";
    assert_eq!(rig.metric("alerts_accepted_total"), [accepted]);
    let recipients = "alert_recipients_total{severity=\"high\"} 3";
    assert_eq!(rig.metric("alert_recipients_total"), [recipients]);
}

/// Who holds token 7, which may be restricted to groups.
fn token_holder(groups: Option<&[u128]>) -> Caller {
    let groups = groups.map(|groups| groups.iter().map(|n| group_id(*n)).collect());
    let scopes = [Scope::AlertsWrite].into_iter().collect();
    let token = ApiToken {
        record: ApiTokenRecord {
            id: ApiTokenId(Uuid::from_u128(7)),
            name: ApiTokenName::parse("ci").unwrap(),
            hash: ApiTokenSecret::generate().hash(),
            grant: Grant::new(scopes, groups).unwrap(),
            expires_at: None,
        },
        created_at: NOW,
        revoked_at: None,
    };
    Caller {
        who: Who::Token(Arc::new(token)),
        address: None,
    }
}

fn refusal(answer: Result<AlertReceipt, NotAccepted>) -> RefusedAlert {
    match answer.unwrap_err() {
        NotAccepted::Refused(refused) => refused,
        NotAccepted::Forbidden(target) => panic!("{target}"),
    }
}

#[tokio::test]
async fn an_alert_names_the_token_it_was_posted_with_and_its_key_is_that_tokens() {
    let rig = Rig::new();
    rig.accept_restricted(&["@all"], None).await.unwrap();
    let (accepted, key) = rig.taken();
    let token = ApiTokenId(Uuid::from_u128(7));
    assert_eq!(accepted.alert.caller, Some(token));
    assert_eq!(key.unwrap().scope, token.to_string());
    rig.accept(&["@all"]).await.unwrap();
    assert_eq!(rig.taken().0.alert.caller, None);
}

#[tokio::test]
async fn a_restricted_token_reaches_its_groups_and_for_another_target_nothing_is_stored() {
    let rig = Rig::new();
    let receipt = rig.accept_restricted(&["@@everyone"], Some(&[1])).await;
    assert_eq!(receipt.unwrap().user_count, 2);
    rig.queue.taken.lock().unwrap().clear();
    for target in ["@all", "@ann", "@@admins", "@@ghosts"] {
        let targets = ["@@everyone", target];
        let refused = rig.accept_restricted(&targets, Some(&[1])).await;
        let NotAccepted::Forbidden(forbidden) = refused.unwrap_err() else {
            panic!("{target} was not forbidden");
        };
        assert_eq!(forbidden.target, target);
        let preview = rig
            .alerts
            .preview(&request(&targets), &token_holder(Some(&[1])));
        assert_eq!(preview.unwrap_err(), forbidden);
    }
    assert!(rig.queue.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_key_carries_its_scope_and_the_answer_to_give_again() {
    let rig = Rig::new();
    let receipt = rig
        .accept_with_key(request(&["@ann", "@eve"]))
        .await
        .unwrap();
    let key = rig.taken().1.unwrap();
    assert_eq!((&*key.scope, &*key.key), ("", "key1"));
    let answer: AlertReceipt = serde_json::from_str(&key.answer).unwrap();
    assert_eq!(answer, receipt);
}

#[tokio::test]
async fn a_replayed_request_is_answered_as_the_first_was() {
    let first = Rig::new();
    let receipt = first
        .accept_with_key(request(&["@all", "@eve"]))
        .await
        .unwrap();
    let answer = first.taken().1.unwrap().answer;

    let again = Rig::answering(Ok(Acceptance::Replayed { answer }));
    let replayed = again.accept_with_key(request(&["@ann"])).await.unwrap();
    assert!(replayed.replayed);
    assert_eq!(replayed.alert_id, receipt.alert_id);
    assert_eq!(replayed.user_count, 2);
    assert_eq!(replayed.unknown_targets, ["@eve"]);
    assert_eq!(
        again.metric("alerts_replayed_total"),
        ["alerts_replayed_total 1"]
    );
    assert!(again.metric("alerts_accepted_total").is_empty());
}

#[tokio::test]
async fn a_stored_answer_that_cannot_be_read_is_a_failure() {
    let answer = "{}".to_owned();
    let rig = Rig::answering(Ok(Acceptance::Replayed { answer }));
    let refused = refusal(rig.accept_with_key(request(&["@ann"])).await);
    assert!(
        matches!(refused.reason, AcceptError::Failed(_)),
        "{refused}"
    );
}

#[tokio::test]
async fn the_queues_refusal_is_passed_on_with_the_alerts_id() {
    for reason in [
        AcceptError::KeyConflict,
        AcceptError::Full("the disk is full".into()),
        AcceptError::KeyUnknown("the database is away".into()),
        AcceptError::MaybeAccepted {
            alert: AlertId::generate(),
            reason: "the sync failed".into(),
        },
        AcceptError::Failed("it broke".into()),
    ] {
        let rig = Rig::answering(Err(reason.clone()));
        let refused = refusal(rig.accept(&["@all"]).await);
        assert_eq!(refused.reason, reason);
        assert_eq!(refused.id, rig.taken().0.alert.id);
        assert_eq!(
            rig.metric("alerts_not_accepted_total"),
            ["alerts_not_accepted_total 1"]
        );
        assert!(rig.metric("alerts_accepted_total").is_empty());
    }
}

#[test]
fn a_target_that_can_be_nobodys_name_is_refused_and_an_unknown_one_is_not() {
    for target in [" @all", "@all ", "@a\u{0}b", "@a\nb", "\t", "@ann\u{3000}"] {
        let refusal = parse(&["@ann", target], "high", "x").unwrap_err();
        assert_eq!(refusal.field, "target", "{target:?}");
        assert!(refusal.problem.ends_with("(number 2)."), "{refusal}");
    }
    for target in ["", "ann", "@", "@@", "@a b"] {
        assert!(parse(&[target], "high", "x").is_ok(), "{target:?}");
    }
}

#[tokio::test]
async fn a_request_has_one_fingerprint_and_every_other_request_another() {
    let bodies = [
        (&["@ann"][..], "high", "x"),
        (&["@ann"], "low", "x"),
        (&["@ann"], "high", "y"),
        (&["@ann"], "high", "x "),
        (&["@Ann"], "high", "x"),
        (&["@ann", "@ann"], "high", "x"),
        (&["@ann", "x"], "high", "x"),
        (&["@ann", "@ben"], "high", "x"),
        (&["@ben", "@ann"], "high", "x"),
        (&["@ann@ben"], "high", "x"),
        (&["@ann"], "high", "1\u{0}x"),
    ];
    let fingerprint = |(targets, severity, message): (&[&str], &str, &str)| {
        parse(targets, severity, message).unwrap().fingerprint()
    };
    for (place, one) in bodies.iter().enumerate() {
        assert_eq!(fingerprint(*one), fingerprint(*one));
        for other in &bodies[place + 1..] {
            assert_ne!(fingerprint(*one), fingerprint(*other), "{one:?} {other:?}");
        }
    }
}

#[tokio::test]
async fn a_severitys_letter_case_and_a_names_form_make_no_other_request() {
    let one = parse(&["@가"], "high", "x").unwrap();
    let other = parse(&["@\u{1100}\u{1161}"], "HIGH", "x").unwrap();
    assert_eq!(one.fingerprint(), other.fingerprint());
}

#[test]
fn a_preview_names_each_user_and_the_first_target_that_matched_and_tells_nobody() {
    let rig = Rig::new();
    let preview = rig
        .alerts
        .preview(
            &request(&["@eve", "@@admins", "@all", "@ann"]),
            &Caller::LOCAL,
        )
        .unwrap();
    let mut told: Vec<_> = preview
        .recipients
        .iter()
        .map(|recipient| (recipient.user.name.as_str(), recipient.target.as_str()))
        .collect();
    told.sort_unstable();
    assert_eq!(told, [("ann", "@@admins"), ("ben", "@all")]);
    assert_eq!(preview.unknown_targets, ["@eve"]);
    assert!(rig.queue.taken.lock().unwrap().is_empty());
}

#[test]
fn health_is_the_queues() {
    let rig = Rig::new();
    assert_eq!(rig.alerts.health(), Err("the disk is full".to_owned()));
}
