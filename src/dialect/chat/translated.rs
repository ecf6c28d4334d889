//! A client's request for an upstream of another dialect: read, checked, fitted to what vendor and model take, and written.

use super::request::ChatRequest;
use super::wire::{Manner, wire};
use super::{fields, hints};
use crate::dialect::DialectId;
use bytes::Bytes;
use tollgate_plugin_api::{Reject, RejectCode};

/// A request in the target's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The body.
    pub body: Bytes,
    /// What was left out, by the client's names, each once.
    pub left_out: Vec<String>,
    /// Something of the conversation is no text.
    pub has_media: bool,
    /// What the client's dialect repeats of a request in its answer, as a request that says nothing else.
    pub repeated: Bytes,
}

/// Writes a client's request for an upstream of another dialect.
///
/// # Errors
/// `INVALID_REQUEST`, naming the field that the target cannot express, or that cannot be read.
pub fn translate_request(
    client: DialectId,
    target: DialectId,
    body: &str,
    stream: bool,
    manner: &Manner<'_>,
) -> Result<Translated, Reject> {
    translate_for(client, &[target], body, stream, manner).map(|(_, translated)| translated)
}

/// The same for an upstream that speaks several, the preferred one first; and the one it was. Where that has no place for something
/// of the request, the next that has ([`lacks`](super::Wire::lacks)) is taken, if it can say the rest.
///
/// # Errors
/// As [`translate_request`].
pub fn translate_for(
    client: DialectId,
    targets: &[DialectId],
    body: &str,
    stream: bool,
    manner: &Manner<'_>,
) -> Result<(DialectId, Translated), Reject> {
    let preferred = *targets.first().ok_or_else(|| not_translated(client, "this provider"))?;
    let read = || {
        let read = wire(client).and_then(|from| from.read_request);
        let mut request = read.ok_or_else(|| not_translated(client, preferred.as_str()))?(body)?;
        request.stream = stream;
        hints::leave_tools_unsaid(&mut request);
        Ok::<_, Reject>(request)
    };
    let request = read()?;
    let lacks = |dialect: DialectId| wire(dialect).and_then(|to| to.lacks?(&request, manner)).is_some();
    let another = if lacks(preferred) { targets.iter().copied().find(|other| !lacks(*other)) } else { None };
    let target = another.unwrap_or(preferred);
    match written(request, client, target, body, manner) {
        Err(refusal) if another.is_some() => {
            let translated = written(read()?, client, preferred, body, manner);
            translated.map(|translated| (preferred, translated)).map_err(|_| refusal)
        }
        outcome => outcome.map(|translated| (target, translated)),
    }
}

fn not_translated(client: DialectId, target: &str) -> Reject {
    Reject::new(RejectCode::InvalidRequest).message(format!("{client} is not spoken by {target}"))
}

fn written(
    mut request: ChatRequest<'_>,
    client: DialectId,
    target: DialectId,
    body: &str,
    manner: &Manner<'_>,
) -> Result<Translated, Reject> {
    let to = wire(target).ok_or_else(|| not_translated(client, target.as_str()))?;
    let left_out = fields::check(&request, client, target)?;
    let mut left_out = hints::fit(&mut request, manner, client, to, left_out)?;
    let mut unused = Vec::new();
    let written = (to.write_request)(&request, manner, &mut unused)
        .map_err(|refusal| fields::refused(refusal.field, client, target, Some(&refusal.what)))?;
    unused.into_iter().for_each(|field| fields::push(&mut left_out, field, client));
    let (left_out, has_media) = (hints::distinct(left_out), request.has_media());
    let repeats = wire(client).and_then(|from| from.repeats);
    let repeated = repeats.map(|repeats| repeats(body)).unwrap_or_default();
    Ok(Translated { body: written.into(), left_out, has_media, repeated: repeated.into() })
}
