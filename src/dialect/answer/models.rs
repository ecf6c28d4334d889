//! Lists of models, in each dialect's shape.

use super::json;
use crate::dialect::DialectId;
use crate::dialect::endpoint::resource;
use bytes::Bytes;
use std::sync::Arc;

/// When a model was made is not known here; Anthropic's reference has the epoch for that, OpenAI's wants some number.
const CREATED_UNIX_S: u32 = 0;
const CREATED_AT: &str = "1970-01-01T00:00:00Z";

/// A model that a client may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// Its name in requests.
    pub id: Arc<str>,
    /// Whose it is: the provider's name.
    pub owned_by: Arc<str>,
}

/// All models, as the answer to a list request. It is never cut into pages.
pub fn model_list(dialect: DialectId, models: &[ListedModel]) -> Bytes {
    let items = models.iter().map(|model| item(dialect, model)).collect::<Vec<_>>().join(",");
    let end = |model: Option<&ListedModel>| model.map_or_else(|| "null".to_owned(), |model| json(&model.id));
    match dialect {
        DialectId::Anthropic => format!(
            r#"{{"data":[{items}],"has_more":false,"first_id":{},"last_id":{}}}"#,
            end(models.first()),
            end(models.last())
        ),
        DialectId::Gemini => format!(r#"{{"models":[{items}]}}"#),
        _ => format!(r#"{{"object":"list","data":[{items}]}}"#),
    }
    .into()
}

/// One model, as the answer to a request for it.
pub fn model(dialect: DialectId, model: &ListedModel) -> Bytes {
    item(dialect, model).into()
}

fn item(dialect: DialectId, model: &ListedModel) -> String {
    let id = json(&model.id);
    match dialect {
        DialectId::Anthropic => {
            format!(r#"{{"type":"model","id":{id},"display_name":{id},"created_at":"{CREATED_AT}"}}"#)
        }
        DialectId::Gemini => {
            let (collection, name) = resource(&model.id);
            let methods = if model.id.contains("embedding") {
                r#""embedContent","batchEmbedContents","countTokens""#
            } else {
                r#""generateContent","streamGenerateContent","countTokens""#
            };
            format!(
                r#"{{"name":{},"version":"","displayName":{id},"supportedGenerationMethods":[{methods}]}}"#,
                json(&format!("{collection}/{name}"))
            )
        }
        _ => {
            let owner = json(&model.owned_by);
            format!(r#"{{"id":{id},"object":"model","created":{CREATED_UNIX_S},"owned_by":{owner}}}"#)
        }
    }
}
