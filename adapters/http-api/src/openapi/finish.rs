//! What is done to the document once the routes have added theirs.

use utoipa::openapi::{
    OpenApi as Document, PathItem, RefOr, Schema, Type, path::Operation, schema::SchemaType,
};

use super::faults::{faults, too_many_requests};

const EVENT_STREAM: &str = "text/event-stream";

/// With the answer that any caller of anything but health may get.
pub(crate) fn with_limits(mut document: Document) -> Document {
    let limited = document.paths.paths.iter_mut();
    for (_, item) in limited.filter(|(path, _)| !path.starts_with("/health/")) {
        for operation in operations(item) {
            let refusal = faults([too_many_requests()]);
            operation.responses.responses.extend(refusal);
        }
    }
    document
}

/// Without what the derived document says and is not so: a parameter is there or not, and
/// never null; a stream of events is no JSON string, and what it is OpenAPI 3.1 has no
/// words for.
pub(crate) fn mended(mut document: Document) -> Document {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter
                && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
                && let SchemaType::Array(types) = &mut schema.schema_type
            {
                types.retain(|one| *one != Type::Null);
                if let [only] = types.as_slice() {
                    schema.schema_type = SchemaType::Type(only.clone());
                }
            }
        }
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response
                && let Some(RefOr::T(content)) = response.content.get_mut(EVENT_STREAM)
            {
                content.schema = None;
            }
        }
    }
    document
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
    ];
    all.into_iter().flatten()
}
