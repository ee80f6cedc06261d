//! Whoever writes a webhook's URL chooses where this service connects to. Here is every way
//! to write a place behind its firewall that we know of, taken all the way that a URL goes:
//! read by the directory, looked up, connected to by the channel.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, TcpListener},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use channels::{
    guard::{Forbidden, Guard, Lookup},
    http::{HttpClient, HttpSettings},
    webhook::{WebhookChannel, WebhookSettings},
};
use common::Destination;
use consumer::domain::Answer;
use producer::domain::Place;
use tests::contract::channel::send_through;

use How::{Inner, Port, Unread};

/// How a URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It is read and looked up, and what it stands for is not connected to.
    Inner,
    /// Its port is not one of a web server.
    Port(u16),
    /// It is not read: whoever writes it is told so.
    Unread,
}

/// `{port}` is one at which this machine listens.
const FORBIDDEN: &[(&str, How)] = &[
    // This machine, in dotted form.
    ("https://127.0.0.1:{port}/", Inner),
    ("https://127.255.255.254:{port}/", Inner),
    ("https://0.0.0.0:{port}/", Inner),
    ("https://0.1.2.3:{port}/", Inner),
    ("HTTPS://127.0.0.1:{port}/", Inner),
    // In short form.
    ("https://127.1:{port}/", Unread),
    ("https://127.0.1:{port}/", Unread),
    ("https://0:{port}/", Unread),
    // As one number: decimal, hexadecimal, octal.
    ("https://2130706433:{port}/", Unread),
    ("https://0x7f000001:{port}/", Unread),
    ("https://0X7F000001:{port}/", Unread),
    ("https://017700000001:{port}/", Unread),
    // With each part in a base of its own.
    ("https://0177.0.0.1:{port}/", Unread),
    ("https://0x7f.0.0.1:{port}/", Unread),
    ("https://0x7f.1:{port}/", Unread),
    ("https://127.0x0.00.1:{port}/", Unread),
    ("https://00000177.0.0.01:{port}/", Unread),
    // With a dot behind it.
    ("https://127.0.0.1.:{port}/", Unread),
    ("https://localhost.:{port}/", Inner),
    // This machine, by IPv6.
    ("https://[::1]:{port}/", Inner),
    ("https://[0:0:0:0:0:0:0:1]:{port}/", Inner),
    (
        "https://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/",
        Inner,
    ),
    ("https://[::]:{port}/", Inner),
    // IPv4 within IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
    ("https://[::ffff:127.0.0.1]:{port}/", Inner),
    ("https://[::ffff:7f00:1]:{port}/", Inner),
    ("https://[::FFFF:169.254.169.254]:{port}/", Inner),
    ("https://[0:0:0:0:0:ffff:10.0.0.1]:{port}/", Inner),
    ("https://[::127.0.0.1]:{port}/", Inner),
    ("https://[::ffff:0:127.0.0.1]:{port}/", Inner),
    ("https://[64:ff9b::127.0.0.1]:{port}/", Inner),
    ("https://[64:ff9b::a9fe:a9fe]:{port}/", Inner),
    ("https://[64:ff9b:1::10.0.0.1]:{port}/", Inner),
    ("https://[2002:7f00:1::]:{port}/", Inner),
    ("https://[2002:c0a8:101::1]:{port}/", Inner),
    (
        "https://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/",
        Inner,
    ),
    ("https://[fe80::5efe:7f00:1]:{port}/", Inner),
    // The network: private, shared, link-local, unique local, site-local.
    ("https://10.0.0.1:{port}/", Inner),
    ("https://10.255.255.255:{port}/", Inner),
    ("https://167772161:{port}/", Unread),
    ("https://172.16.0.1:{port}/", Inner),
    ("https://172.31.255.255:{port}/", Inner),
    ("https://192.168.0.1:{port}/", Inner),
    ("https://192.168.257:{port}/", Unread),
    ("https://100.64.0.1:{port}/", Inner),
    ("https://169.254.1.1:{port}/", Inner),
    ("https://[fe80::1]:{port}/", Inner),
    ("https://[febf::1]:{port}/", Inner),
    ("https://[fec0::1]:{port}/", Inner),
    ("https://[fc00::1]:{port}/", Inner),
    ("https://[fdff:ffff::1]:{port}/", Inner),
    // A cloud's metadata, by address and by name.
    ("https://169.254.169.254/latest/meta-data/", Inner),
    ("https://169.254.43518/", Unread),
    ("https://0xa9fea9fe/", Unread),
    ("https://2852039166/", Unread),
    ("https://0251.0376.0251.0376/", Unread),
    ("https://169.254.170.2/v2/credentials", Inner),
    ("https://100.100.100.200/latest/meta-data/", Inner),
    ("https://192.0.0.192/opc/v2/", Inner),
    ("https://168.63.129.16/", Inner),
    ("https://[fd00:ec2::254]/latest/meta-data/", Inner),
    (
        "https://metadata.google.internal/computeMetadata/v1/",
        Inner,
    ),
    ("https://METADATA.google.internal./", Inner),
    ("https://metadata/", Inner),
    // To many, to nobody, and for other uses.
    ("https://224.0.0.1:{port}/", Inner),
    ("https://239.255.255.255:{port}/", Inner),
    ("https://255.255.255.255:{port}/", Inner),
    ("https://240.0.0.1:{port}/", Inner),
    ("https://198.18.0.1:{port}/", Inner),
    ("https://192.0.2.1:{port}/", Inner),
    ("https://[ff02::1]:{port}/", Inner),
    ("https://[ff0e::1]:{port}/", Inner),
    ("https://[100::1]:{port}/", Inner),
    ("https://[2001:db8::1]:{port}/", Inner),
    ("https://[5f00::1]:{port}/", Inner),
    // Names that stand for inner addresses, alone or with others.
    ("https://localhost:{port}/", Inner),
    ("https://LocalHost:{port}/", Inner),
    ("https://localhost.localdomain:{port}/", Inner),
    ("https://ip6-localhost:{port}/", Inner),
    ("https://127.0.0.1.wildcard.example:{port}/", Inner),
    ("https://inner.example:{port}/", Inner),
    ("https://xn--inner-9ra.example:{port}/", Inner),
    ("https://several.example:{port}/", Inner),
    // Without TLS nothing is public, wherever it is.
    ("http://127.0.0.1:{port}/", Inner),
    ("http://93.184.216.34:{port}/", Inner),
    // Ports on which other services live.
    ("https://93.184.216.34:22/", Port(22)),
    ("https://93.184.216.34:25/", Port(25)),
    ("https://93.184.216.34:445/", Port(445)),
    ("https://public.example:1023/", Port(1023)),
    ("https://127.0.0.1:6/", Port(6)),
    // What hides the host from whoever reads it.
    ("https://example.org@127.0.0.1:{port}/", Unread),
    ("https://127.0.0.1:{port}@example.org/", Unread),
    ("https://a:b@127.0.0.1:{port}/", Unread),
    ("https://example.org%40127.0.0.1:{port}/", Unread),
    ("https://example.org\\@127.0.0.1:{port}/", Unread),
    ("https://127.0.0.1:{port}\\.example.org/", Unread),
    ("https://example.org#@127.0.0.1:{port}/", Unread),
    ("https://127.0.0.1:{port}#.example.org/", Unread),
    ("https://127.0.0.1:{port}:80/", Unread),
    ("https:127.0.0.1:{port}/", Unread),
    ("https:/127.0.0.1:{port}/", Unread),
    ("https:///127.0.0.1:{port}/", Unread),
    ("//127.0.0.1:{port}/", Unread),
    ("https://127.0.0.1:{port}/\r\nHost: example.org", Unread),
    (" https://127.0.0.1:{port}/", Unread),
    ("https://127.0.0.1\t:{port}/", Unread),
    // Escaped, or in digits and dots of other alphabets.
    ("https://%31%32%37.0.0.1:{port}/", Unread),
    ("https://127%2e0%2e0%2e1:{port}/", Unread),
    ("https://localhos%74:{port}/", Unread),
    ("https://１２７.０.０.１:{port}/", Unread),
    ("https://①②⑦.⓪.⓪.①:{port}/", Unread),
    ("https://127。0。0。1:{port}/", Unread),
    ("https://ⓛocalhost:{port}/", Unread),
    ("https://ſocket.localhost:{port}/", Unread),
    // With a zone, or half an address.
    ("https://[fe80::1%25eth0]:{port}/", Unread),
    ("https://[fe80::1%eth0]:{port}/", Unread),
    ("https://[::1%25lo]:{port}/", Unread),
    ("https://[127.0.0.1]:{port}/", Unread),
    ("https://[::1:{port}/", Unread),
    ("https://::1/", Unread),
    ("https://[v1.127.0.0.1]:{port}/", Unread),
    // Ports that two programs read in two ways.
    ("https://127.0.0.1:0/", Unread),
    ("https://127.0.0.1:65617/", Unread),
    ("https://127.0.0.1:+443/", Unread),
    ("https://127.0.0.1:0443/", Unread),
    ("https://127.0.0.1:/", Unread),
    // Other schemes.
    ("file:///etc/passwd", Unread),
    ("gopher://127.0.0.1:{port}/_x", Unread),
    ("ftp://127.0.0.1:{port}/", Unread),
    ("unix:///run/docker.sock", Unread),
    ("http+unix://%2Frun%2Fdocker.sock/", Unread),
    ("dict://127.0.0.1:{port}/", Unread),
    ("javascript:alert(1)", Unread),
    ("data:text/plain,x", Unread),
];

#[tokio::test]
async fn every_way_to_write_a_place_inside_is_refused_and_nothing_is_connected_to() {
    let inside = Inside::new();
    let channel = channel(Guard::default(), Arc::new(Resolver));
    for &(text, how) in FORBIDDEN {
        let url = inside.url(text);
        let refused = match Place::parse("webhook", &url) {
            Err(_) => Unread,
            Ok(place) => match send(&channel, place.destination()).await {
                Answer::Refused(refusal) => {
                    assert!(refusal.lasting, "{text:?}: {refusal:?}");
                    assert_eq!(refusal.status, None, "{text:?}: {refusal:?}");
                    let port = place
                        .destination()
                        .base_url
                        .rsplit(':')
                        .next()
                        .unwrap()
                        .parse();
                    match refusal.reason {
                        reason if reason == Forbidden::Address.to_string() => Inner,
                        reason => {
                            let port = port.unwrap();
                            assert_eq!(reason, Forbidden::Port(port).to_string(), "{text:?}");
                            Port(port)
                        }
                    }
                }
                answer => panic!("{text:?} was not refused: {answer:?}"),
            },
        };
        assert_eq!(refused, how, "{text:?}");
        assert_eq!(inside.connections(), 0, "{text:?} was connected to");
    }
    assert!(FORBIDDEN.len() >= 60);
}

/// The test above would see a connection, had there been one.
#[tokio::test]
async fn a_place_inside_that_the_settings_allow_is_connected_to() {
    for url in ["https://127.0.0.1:{port}/", "https://localhost:{port}/"] {
        let inside = Inside::new();
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let channel = channel(guard, Arc::new(Resolver));
        let place = Place::parse("webhook", &inside.url(url)).unwrap();
        let sending = send(&channel, place.destination());
        // Nobody speaks TLS there, so that it was connected to is all that comes of it.
        let (_, answer) = tokio::join!(inside.hang_up_on_the_first(), sending);
        assert!(matches!(answer, Answer::Refused(refusal) if !refusal.lasting));
    }
}

#[tokio::test]
async fn a_name_that_means_another_address_after_the_check_is_pinned_to_the_one_checked() {
    let (inside, outside) = (Inside::new(), Inside::at("127.0.0.2:0"));
    // The next lookup, if there were one, would lead inside.
    let names = Changing::between(&["127.0.0.2", "127.0.0.1"]);
    let guard = Guard::new(vec!["127.0.0.2".parse().unwrap()]);
    let channel = channel(guard, names.clone());
    let place = Place::parse("webhook", &outside.url("https://changing.example:{port}/")).unwrap();
    let sending = send(&channel, place.destination());
    let (_, answer) = tokio::join!(outside.hang_up_on_the_first(), sending);
    assert!(matches!(answer, Answer::Refused(refusal) if !refusal.lasting));
    assert_eq!((names.asked(), inside.connections()), (1, 0));
    // And with the next connection that one is refused.
    let Answer::Refused(refusal) = send(&channel, place.destination()).await else {
        panic!("not refused");
    };
    assert_eq!(refusal.reason, Forbidden::Address.to_string());
    assert_eq!((names.asked(), inside.connections()), (2, 0));
}

/// A service behind the firewall.
struct Inside(TcpListener);

impl Inside {
    fn new() -> Self {
        // At the wildcard address of both kinds, so that any address of the machine will do.
        let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0"));
        Self::of(listener.unwrap())
    }

    fn at(address: &str) -> Self {
        Self::of(TcpListener::bind(address).unwrap())
    }

    fn of(listener: TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self, text: &str) -> String {
        let port = self.0.local_addr().unwrap().port();
        text.replace("{port}", &port.to_string())
    }

    /// Those that wait to be accepted, which the kernel makes before the client hears of it.
    fn connections(&self) -> usize {
        let accepted = std::iter::from_fn(|| self.0.accept().ok());
        accepted.count()
    }

    async fn hang_up_on_the_first(&self) {
        let listener = self.0.try_clone().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        drop(listener.accept().await.unwrap());
    }
}

/// Knows the names of [`FORBIDDEN`].
#[derive(Debug)]
struct Resolver;

#[async_trait]
impl Lookup for Resolver {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let name = host.strip_suffix('.').unwrap_or(host);
        let addresses: &[&str] = match name.to_ascii_lowercase().as_str() {
            "localhost" | "localhost.localdomain" => &["::1", "127.0.0.1"],
            "ip6-localhost" => &["::1"],
            "metadata" | "metadata.google.internal" => &["169.254.169.254"],
            "127.0.0.1.wildcard.example" => &["127.0.0.1"],
            "inner.example" | "xn--inner-9ra.example" => &["10.0.0.1"],
            "several.example" => &["192.168.0.1", "::ffff:127.0.0.1", "fd00::1"],
            "public.example" => &["93.184.216.34"],
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(addresses.iter().map(|text| text.parse().unwrap()).collect())
    }
}

/// A name that means another address with each lookup, the last for ever.
#[derive(Debug)]
struct Changing {
    answers: Mutex<VecDeque<IpAddr>>,
    asked: Mutex<usize>,
}

impl Changing {
    fn between(addresses: &[&str]) -> Arc<Self> {
        let answers = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: Mutex::new(0),
        })
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

#[async_trait]
impl Lookup for Changing {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        *self.asked.lock().unwrap() += 1;
        let mut answers = self.answers.lock().unwrap();
        let address = answers.pop_front().unwrap();
        if answers.is_empty() {
            answers.push_back(address);
        }
        Ok(vec![address])
    }
}

fn channel(guard: Guard, names: Arc<dyn Lookup>) -> WebhookChannel {
    let http = HttpClient::with_lookup(HttpSettings::default(), guard, names).unwrap();
    WebhookChannel::new(WebhookSettings::default(), Arc::new(http))
}

async fn send(channel: &WebhookChannel, destination: &Destination) -> Answer {
    send_through(
        channel,
        destination,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    .await
}
