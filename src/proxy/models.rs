//! `GET /v1/models` and its like: what this key may use, in the caller's dialect's shape.

use super::exchange::Exchange;
use crate::dialect::answer::{self, ListedModel};
use crate::dialect::endpoint::Target;
use http::{HeaderValue, StatusCode, header};
use tollgate_plugin_api::{Key, Reject, RejectCode, Reply};

/// The list, or the one model that was asked for.
pub(super) fn list(exchange: &Exchange, target: &Target, key: &Key) -> Result<Reply, Reject> {
    let allowed = |name: &str| key.models.is_empty() || key.models.iter().any(|model| model == name);
    let models: Vec<ListedModel> = exchange
        .snapshot
        .listed(&key.group)
        .iter()
        .filter(|model| allowed(&model.id))
        .filter(|model| target.model_in_path.as_deref().is_none_or(|wanted| *model.id == *wanted))
        .cloned()
        .collect();
    let body = match (&target.model_in_path, models.first()) {
        (None, _) => answer::model_list(exchange.dialect, &models),
        (Some(_), Some(model)) => answer::model(exchange.dialect, model),
        (Some(name), None) => {
            return Err(Reject::new(RejectCode::ModelNotFound).message(format!("No model `{name}` for this key")));
        }
    };
    let json = HeaderValue::from_static("application/json");
    Ok(Reply { status: StatusCode::OK, headers: vec![(header::CONTENT_TYPE, json)], body: body.to_vec() })
}
