//! What an answer is based on: Google's `groundingMetadata` and `citationMetadata`.

use super::offsets::Offsets;
use crate::dialect::chat::write::Members;
use crate::dialect::chat::{Annotation, Event, Sink, Text};
use serde::Deserialize;

/// `citations` in Vertex AI, `citationSources` in the Gemini API.
#[derive(Deserialize)]
pub(super) struct CitationMetadata<'a> {
    #[serde(borrow, alias = "citationSources")]
    citations: Option<Vec<Citation<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Citation<'a> {
    start_index: Option<u64>,
    end_index: Option<u64>,
    #[serde(borrow)]
    uri: Option<Text<'a>>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroundingMetadata<'a> {
    #[serde(borrow)]
    grounding_chunks: Option<Vec<Chunk<'a>>>,
    grounding_supports: Option<Vec<Support>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    web: Option<Place<'a>>,
    #[serde(borrow)]
    retrieved_context: Option<Place<'a>>,
    #[serde(borrow)]
    maps: Option<Place<'a>>,
}

#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    uri: Option<Text<'a>>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Support {
    segment: Option<Segment>,
    grounding_chunk_indices: Option<Vec<usize>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    start_index: Option<u64>,
    end_index: Option<u64>,
}

/// From byte to byte, as characters. Google leaves a start of 0 out.
fn range(start: Option<u64>, end: Option<u64>, offsets: &Offsets) -> Option<(u64, u64)> {
    Some((offsets.char_at(start.unwrap_or(0))?, offsets.char_at(end?)?))
}

impl CitationMetadata<'_> {
    /// Delivers them.
    pub(super) fn deliver(self, choice: u32, offsets: &Offsets, sink: &mut dyn Sink) {
        for citation in self.citations.unwrap_or_default() {
            let range = range(citation.start_index, citation.end_index, offsets);
            let (url, title) = (citation.uri.map(|uri| uri.0), citation.title.map(|title| title.0));
            let annotation = Annotation { url, title, cited_text: None, range, native: None };
            sink.event(Event::Annotation { choice, annotation });
        }
    }
}

impl GroundingMetadata<'_> {
    /// Delivers each source with each piece of the text that it supports; without such, each source once.
    pub(super) fn deliver(&self, choice: u32, offsets: &Offsets, sink: &mut dyn Sink) {
        let chunks = self.grounding_chunks.as_deref().unwrap_or_default();
        let supports = self.grounding_supports.as_deref().unwrap_or_default();
        let mut deliver = |chunk: &Chunk<'_>, range| {
            let Some(annotation) = chunk.annotation(range) else { return };
            sink.event(Event::Annotation { choice, annotation });
        };
        for support in supports {
            let range = support.segment.as_ref().and_then(|s| range(s.start_index, s.end_index, offsets));
            let indices = support.grounding_chunk_indices.iter().flatten();
            indices.filter_map(|index| chunks.get(*index)).for_each(|chunk| deliver(chunk, range));
        }
        if supports.is_empty() {
            chunks.iter().for_each(|chunk| deliver(chunk, None));
        }
    }
}

impl Chunk<'_> {
    fn annotation(&self, range: Option<(u64, u64)>) -> Option<Annotation<'_>> {
        let place = self.web.as_ref().or(self.retrieved_context.as_ref()).or(self.maps.as_ref())?;
        let of = |text: &'_ Option<Text<'_>>| text.as_ref().map(|text| text.as_str().to_owned().into());
        let (url, title, cited_text) = (of(&place.uri), of(&place.title), of(&place.text));
        Some(Annotation { url, title, cited_text, range, native: None })
    }
}

/// Writes `groundingMetadata`: a page is a `web` chunk, a document of the prompt a `retrievedContext`.
pub(super) fn write<'a>(
    annotations: impl Iterator<Item = &'a Annotation<'a>> + Clone,
    offsets: &Offsets,
    candidate: &mut Members<'_>,
) {
    if annotations.clone().next().is_none() {
        return;
    }
    candidate.object("groundingMetadata", |metadata| {
        metadata.array("groundingChunks", |chunks| {
            for annotation in annotations.clone() {
                let name = if annotation.url.is_some() { "web" } else { "retrievedContext" };
                chunks.object_element(|chunk| {
                    chunk.object(name, |place| {
                        place.some("uri", annotation.url.as_ref());
                        place.some("title", annotation.title.as_ref());
                        if annotation.url.is_none() {
                            place.some("text", annotation.cited_text.as_ref());
                        }
                    });
                });
            }
        });
        metadata.array("groundingSupports", |supports| {
            for (place, annotation) in annotations.enumerate() {
                let bytes = annotation.range.map(|(start, end)| (offsets.byte_at(start), offsets.byte_at(end)));
                let Some((Some(start), Some(end))) = bytes else { continue };
                supports.object_element(|support| {
                    support.object("segment", |segment| {
                        segment.member("startIndex", &start);
                        segment.member("endIndex", &end);
                    });
                    support.member("groundingChunkIndices", &[place]);
                });
            }
        });
    });
}
