//! The global transaction id of a request: taken or made, carried through, given back.

use axum::{
    extract::Request,
    http::{Extensions, HeaderName, HeaderValue},
    response::Response,
};
use common::Gtid;

const HEADER: HeaderName = HeaderName::from_static(Gtid::HEADER);

/// Puts the request's id, its own or a new one, among its extensions.
pub(crate) fn name(request: &mut Request) -> Gtid {
    let gtid = taken(request).unwrap_or_else(Gtid::random);
    request.extensions_mut().insert(gtid.clone());
    gtid
}

/// Puts the id into the answer's header.
pub(crate) fn give_back(gtid: &Gtid, response: &mut Response) {
    if let Ok(header) = HeaderValue::from_str(gtid.as_str()) {
        response.headers_mut().insert(HEADER, header);
    }
}

/// The id that [`name`] put there.
pub(crate) fn of(extensions: &Extensions) -> Gtid {
    extensions
        .get::<Gtid>()
        .cloned()
        .unwrap_or_else(Gtid::random)
}

fn taken(request: &Request) -> Option<Gtid> {
    Gtid::parse(request.headers().get(HEADER)?.to_str().ok()?)
}
