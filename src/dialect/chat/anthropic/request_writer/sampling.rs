//! How the next token is drawn, as far as the model lets a request say it.

use super::super::super::fields::Field;
use super::super::super::json::Json;
use super::super::super::request::Options;
use super::super::super::write::Members;
use super::super::models::Sampling;

/// Anthropic's highest temperature.
const TEMPERATURE_MAX: f64 = 1.0;
/// The lowest `top_p` of a model that thinks.
const THINKING_TOP_P_MIN: f64 = 0.95;

/// What is written of temperature, `top_p` and `top_k`.
#[derive(Default)]
pub(in crate::dialect::chat) struct Sampled<'a> {
    temperature: Option<Json<'a>>,
    top_p: Option<Json<'a>>,
    top_k: Option<Json<'a>>,
}

impl<'a> Sampled<'a> {
    pub(in crate::dialect::chat) fn of(
        options: &Options<'a>,
        taken: Sampling,
        thinks: bool,
        unused: &mut Vec<Field>,
    ) -> Self {
        let value = |field| options.plain(field).cloned();
        let number = |json: &Json<'_>| json.as_str().parse::<f64>().ok();
        // 1 is what is so anyway.
        let is_one = |json: &Json<'_>| number(json) == Some(1.0);
        let mut leave_out = |is_taken: bool, field: Field, json: Option<Json<'a>>| {
            let said = json.as_ref().is_some_and(|json| field == Field::TopK || !is_one(json));
            if !is_taken && said {
                unused.push(field);
            }
            json.filter(|_| is_taken)
        };
        let free = taken != Sampling::Neither;
        let mut temperature = value(Field::Temperature);
        if temperature.as_ref().and_then(number).is_some_and(|degree| degree > TEMPERATURE_MAX) {
            temperature = leave_out(false, Field::Temperature, temperature).or(Some(Json::of(&1)));
        }
        let temperature_fits = free && (!thinks || temperature.as_ref().is_some_and(is_one));
        let temperature = leave_out(temperature_fits, Field::Temperature, temperature);
        let top_p = value(Field::TopP);
        let beside = taken == Sampling::Both || temperature.is_none();
        let is_high = top_p.as_ref().and_then(number).is_none_or(|share| share >= THINKING_TOP_P_MIN);
        let top_p = leave_out(free && beside && (!thinks || is_high), Field::TopP, top_p);
        let top_k = leave_out(free && !thinks, Field::TopK, value(Field::TopK));
        Self { temperature, top_p, top_k }
    }

    /// Temperature, `top_p` and `top_k`.
    pub(in crate::dialect::chat) fn parts(&self) -> [Option<&Json<'a>>; 3] {
        [self.temperature.as_ref(), self.top_p.as_ref(), self.top_k.as_ref()]
    }

    pub(in crate::dialect::chat) fn write(&self, body: &mut Members<'_>) {
        let members = [("temperature", &self.temperature), ("top_p", &self.top_p), ("top_k", &self.top_k)];
        for (name, value) in members {
            if let Some(value) = value {
                body.raw(name, value);
            }
        }
    }
}
