use super::*;

#[test]
fn a_field_is_redacted_for_its_name_in_any_case_at_any_depth() {
    let clean =
        body(br#"{"Token":"s1","a":[{"clientSecret":{"x":"s2"}}],"PASSWORD":3,"name":"ann"}"#);
    assert!(!clean.contains("s1") && !clean.contains("s2"), "{clean}");
    assert!(!clean.contains('3'), "{clean}");
    assert!(clean.contains(r#""name":"ann""#), "{clean}");
}

#[test]
fn a_token_is_redacted_for_its_look_wherever_it_stands() {
    for text in [
        "xoxb-1-abc",
        "xoxe.xoxp-1-Mi0y",
        "xapp-1-A1-x",
        "en_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBweil2G1",
        "en_BwcHBwcHBwcHBwcHBwcHBwc-_wcHBwcHBwc",
        "Bearer abc.def",
        "bearer  abc",
    ] {
        let clean = tokens(text);
        assert_eq!(clean, REDACTED, "{text}");
        let sentence = format!("it said {text}, and left");
        assert_eq!(tokens(&sentence), "it said [redacted], and left");
    }
}

#[test]
fn a_token_written_with_json_escapes_is_redacted_too() {
    let clean = body(br#"{"message":"\u0078oxb-1-abc","\u0074oken":"s1"}"#);
    assert_eq!(clean, r#"{"message":"[redacted]","token":"[redacted]"}"#);
}

#[test]
fn ordinary_text_is_left_as_it_is() {
    for text in [
        "node1 down",
        "xox",
        "bearer",
        "the bearer, he",
        "boxox-",
        "seen_before_and_after",
        "장애",
    ] {
        assert_eq!(tokens(text), text);
    }
}

#[test]
fn json_lines_are_redacted_line_by_line() {
    let clean =
        body(b"{\"type\":\"user\",\"token\":\"s1\"}\n\n{\"type\":\"user\",\"token\":\"s2\"}\n");
    assert_eq!(
        clean.matches(r#""token":"[redacted]""#).count(),
        2,
        "{clean}"
    );
    assert_eq!(clean.matches(r#""type":"user""#).count(), 2, "{clean}");
    assert!(!clean.contains("s1") && !clean.contains("s2") && !clean.contains('\n'));
}

#[test]
fn of_a_body_that_is_not_json_only_the_length_is_shown() {
    for bytes in [
        &br#"{"token":"s1""#[..],
        b"token=s1",
        b"\"s1\"",
        b"{\"token\":\"s1\"}\ns1",
        b"\xff\xfe",
    ] {
        assert_eq!(body(bytes), format!("[{} bytes]", bytes.len()));
    }
}

#[test]
fn headers_are_redacted_for_their_names() {
    let mut map = HeaderMap::new();
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-slack-token",
    ] {
        map.append(name, "s1".parse().unwrap());
    }
    map.append("x-note", "see Bearer abc".parse().unwrap());
    let clean = headers(&map);
    assert!(!clean.contains("s1") && !clean.contains("abc"), "{clean}");
    assert!(clean.contains("authorization: [redacted]"), "{clean}");
}

#[test]
fn a_query_parameter_is_redacted_for_its_name() {
    let address: Uri = "/v1/users?name=ann&Token=s1&x=xoxb-1".parse().unwrap();
    assert_eq!(
        uri(&address),
        "/v1/users?name=ann&Token=[redacted]&x=[redacted]"
    );
}

#[test]
fn what_is_printed_keeps_to_its_line() {
    let text = "a\nb\u{1b}[2J\u{85}\u{2028}\u{202e}c 장애";
    let printed = Printable(text).to_string();
    assert_eq!(printed, r"a\nb\u{1b}[2J\u{85}\u{2028}\u{202e}c 장애");
}
