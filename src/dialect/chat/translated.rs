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

/// The same for an upstream that speaks several, the preferred one first; and the one it was. Another one is taken where it alone
/// can say everything.
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
    let target = *targets.first().ok_or_else(|| not_translated(client, "this provider"))?;
    let read = || {
        let read = wire(client).and_then(|from| from.read_request);
        let mut request = read.ok_or_else(|| not_translated(client, target.as_str()))?(body)?;
        request.stream = stream;
        hints::leave_tools_unsaid(&mut request);
        Ok::<_, Reject>(request)
    };
    let request = read()?;
    let other = targets.iter().copied().find(|other| *other == DialectId::OpenAiResponses);
    if let Some(other) = other.filter(|_| target == DialectId::OpenAi && hints::needs_responses(&request, manner)) {
        return match written(request, client, other, body, manner) {
            Ok(translated) => Ok((other, translated)),
            Err(refusal) => {
                let translated = written(read()?, client, target, body, manner);
                translated.map(|translated| (target, translated)).map_err(|_| refusal)
            }
        };
    }
    written(request, client, target, body, manner).map(|translated| (target, translated))
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
    let mut left_out = fields::check(&request, client, target)?;
    hints::leave_out(&mut request.options, manner.rules.refuses, client, &mut left_out);
    hints::fit_reasoning(&mut request.options, manner, target, client, &mut left_out);
    hints::fit_tools(&mut request, manner, target, client, &mut left_out)?;
    hints::fit_sampling(&mut request.options, manner, target, client, &mut left_out)?;
    hints::shorten_names(&mut request, target);
    let mut unused = Vec::new();
    let written = (to.write_request)(&request, manner, &mut unused)
        .map_err(|refusal| fields::refused(refusal.field, client, target, Some(&refusal.what)))?;
    unused.into_iter().for_each(|field| fields::push(&mut left_out, field, client));
    let (left_out, has_media) = (hints::distinct(left_out), request.has_media());
    let repeats = wire(client).and_then(|from| from.repeats);
    let repeated = repeats.map(|repeats| repeats(body)).unwrap_or_default();
    Ok(Translated { body: written.into(), left_out, has_media, repeated: repeated.into() })
}
