//! The global transaction id of a request: taken or made, carried through, given back.

use axum::{
    extract::Request,
    http::{Extensions, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use common::Gtid;

const HEADER: HeaderName = HeaderName::from_static(Gtid::HEADER);

/// Puts the request's id among its extensions and into the answer's header.
pub(crate) async fn carry(mut request: Request, next: Next) -> Response {
    let gtid = taken(&request).unwrap_or_else(Gtid::random);
    let header = HeaderValue::from_str(gtid.as_str());
    request.extensions_mut().insert(gtid);
    let mut response = next.run(request).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

/// The id that [`carry`] put there.
pub(crate) fn of(extensions: &Extensions) -> Gtid {
    extensions
        .get::<Gtid>()
        .cloned()
        .unwrap_or_else(Gtid::random)
}

fn taken(request: &Request) -> Option<Gtid> {
    Gtid::parse(request.headers().get(HEADER)?.to_str().ok()?)
}
