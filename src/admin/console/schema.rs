//! The form of what is sent and answered, as the API's description has it.

use serde_json::{Value, json};
use std::borrow::Cow;
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

/// Forms that a form refers to.
type Named = Vec<(String, RefOr<Schema>)>;

/// How one type looks in JSON.
#[derive(Clone, Copy)]
pub(super) struct Form {
    name: fn() -> Cow<'static, str>,
    schema: fn() -> RefOr<Schema>,
    named: fn(&mut Named),
}

impl Form {
    /// Of this type.
    pub(super) const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: <T as PartialSchema>::schema, named: <T as ToSchema>::schemas }
    }

    /// As JSON Schema; what it refers to goes to `named`.
    pub(super) fn json(&self, named: &mut serde_json::Map<String, Value>) -> Value {
        let mut found = Named::new();
        (self.named)(&mut found);
        let schema = (self.schema)();
        // Lists have no name of their own: `Vec` is what all of them are called.
        let list =
            matches!(schema, RefOr::T(Schema::Array(_))).then(|| serde_json::to_value(&schema).unwrap_or_default());
        if list.is_none() {
            found.push(((self.name)().into_owned(), schema));
        }
        for (name, schema) in found {
            named.entry(name).or_insert_with(|| serde_json::to_value(schema).unwrap_or_default());
        }
        list.unwrap_or_else(|| json!({ "$ref": format!("#/components/schemas/{}", (self.name)()) }))
    }

    /// Its fields, as parameters of a query.
    pub(super) fn parameters(&self) -> Vec<Value> {
        let schema = serde_json::to_value((self.schema)()).unwrap_or_default();
        let is_required = |name: &str| {
            schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
        };
        let fields = schema["properties"].as_object().into_iter().flatten();
        let parameter = |(name, field): (&String, &Value)| json!({"in": "query", "name": name, "required": is_required(name), "schema": field});
        fields.map(parameter).collect()
    }
}

/// What an endpoint answers if nothing is wrong.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// Nothing: 204.
    Nothing,
    /// A document.
    Document(Form),
    /// A new thing: 201.
    Made(Form),
    /// A part of a listing.
    Listing(Form),
    /// Documents of any form, or bytes, of one of these types.
    Raw(&'static [&'static str]),
}

impl Answer {
    /// Its status.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Nothing => 204,
            Self::Made(_) => 201,
            _ => 200,
        }
    }

    /// Its entry in the description.
    pub(super) fn json(self, named: &mut serde_json::Map<String, Value>) -> Value {
        let (content_type, schema) = match self {
            Self::Nothing => return json!({"description": "Done."}),
            Self::Document(form) | Self::Made(form) => ("application/json", form.json(named)),
            Self::Listing(form) => {
                let items = json!({"type": "array", "items": form.json(named)});
                let next = json!({"description": "The cursor of the next part; null: there is none."});
                let properties = json!({"items": items, "next": next});
                ("application/json", json!({"type": "object", "required": ["items", "next"], "properties": properties}))
            }
            Self::Raw(content_types) => {
                let content: serde_json::Map<String, Value> = content_types
                    .iter()
                    .map(|content_type| ((*content_type).to_owned(), json!({"schema": {}})))
                    .collect();
                return json!({"description": "Done.", "content": content});
            }
        };
        json!({"description": "Done.", "content": {content_type: {"schema": schema}}})
    }
}
