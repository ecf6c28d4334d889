//! `GET /v1/models` and its like: what this key may use, in the caller's dialect's shape.

use super::admit::find_model;
use super::exchange::Exchange;
use crate::dialect::answer::{self, ListedModel};
use crate::dialect::endpoint::Target;
use http::{HeaderValue, StatusCode, header};
use tollgate_plugin_api::{Key, Reject, RejectCode, Reply};

/// The list, or the one model that was asked for: a request for one that the key may not use is refused as one to it would be.
pub(super) fn list(exchange: &Exchange, target: &Target, key: &Key) -> Result<Reply, Reject> {
    let listed = exchange.snapshot.listed(&key.group);
    let body = match target.model_in_path.as_deref() {
        Some(wanted) => {
            find_model(exchange, key, wanted)?;
            let unlisted =
                || Reject::new(RejectCode::ModelNotFound).message(format!("No model `{wanted}` for this key"));
            let model = listed.iter().find(|model| *model.id == *wanted).ok_or_else(unlisted)?;
            answer::model(exchange.dialect, model)
        }
        None => {
            let allowed = |name: &str| key.models.is_empty() || key.models.iter().any(|model| model == name);
            let models: Vec<ListedModel> = listed.iter().filter(|model| allowed(&model.id)).cloned().collect();
            answer::model_list(exchange.dialect, &models)
        }
    };
    let json = HeaderValue::from_static("application/json");
    Ok(Reply { status: StatusCode::OK, headers: vec![(header::CONTENT_TYPE, json)], body })
}
