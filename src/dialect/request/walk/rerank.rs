//! What a rerank comes to: a reranker reads what stands beside the documents once with each of them, and bills "the number of query
//! tokens x the number of documents + sum of the number of tokens in all documents" (docs.voyageai.com, "Rerankers"; Jina's and
//! SiliconFlow's are alike).

use crate::dialect::Passed;

/// What a reranker puts around each pair of query and document, at most: Qwen3's has a template of some 80 tokens
/// (huggingface.co/Qwen/Qwen3-Reranker-8B, "Transformers Usage").
const PAIR_TOKENS: u64 = 128;

/// Documents of one of Cohere's searches, as which a rerank is billed (cohere.com/pricing: "one query with up to 100 documents to be
/// ranked. Documents longer than 500 tokens when including the length of the search query will be split up into multiple chunks, where
/// each chunk counts as a single document").
const SEARCH_DOCUMENTS: u64 = 100;
const CHUNK_TOKENS: u64 = 500;

/// What stands in the documents of a rerank.
#[derive(Default)]
pub(super) struct Documents {
    /// Of the body.
    pub(super) bytes: u64,
    pub(super) media_bytes: u64,
    pub(super) media_tokens: u64,
    pub(super) images: u64,
    /// Their text, if it is collected.
    pub(super) text: Option<Passed>,
}

/// What a prompt comes to at most.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) text_bytes: u64,
    pub(super) media_tokens: u64,
    pub(super) images: u64,
    /// As which it may be billed.
    pub(super) searches: u64,
}

impl Documents {
    /// More of them, whose text goes on with what there is.
    pub(super) fn add(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.media_bytes += more.media_bytes;
        self.media_tokens += more.media_tokens;
        self.images += more.images;
        self.text = more.text;
    }

    /// Of so many documents, from what all there is comes to once.
    pub(super) fn bound(&self, once: Bound, count: u64) -> Bound {
        let again = count.saturating_sub(1);
        let in_documents = self.bytes.saturating_sub(self.media_bytes);
        let text_beside = once.text_bytes.saturating_sub(in_documents).saturating_mul(again);
        let media_beside = once.media_tokens.saturating_sub(self.media_tokens).saturating_mul(again);
        let images_beside = once.images.saturating_sub(self.images).saturating_mul(again);
        let around = PAIR_TOKENS.saturating_mul(count);
        Bound {
            text_bytes: once.text_bytes.saturating_add(text_beside).saturating_add(around),
            media_tokens: once.media_tokens.saturating_add(media_beside),
            images: once.images.saturating_add(images_beside),
            // A token is a byte at least, and mostly four: what a chunk has of the query is in that.
            searches: (count + in_documents / CHUNK_TOKENS).div_ceil(SEARCH_DOCUMENTS),
        }
    }
}
