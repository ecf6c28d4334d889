//! The audit has every version of the price file that is in force, also those that came by no request: from an editor, the command
//! line, or a console's change whose row was lost because the process ended between the two.

use crate::clock::unix_ms;
use crate::price::PriceBook;
use crate::proxy::Shared;
use crate::revision::{Edition, OBJECT, Revision};
use crate::serve;
use crate::store::{Act, AuditRow, Page, Store, StoreError};
use std::sync::Arc;

/// How the audit calls a version that was found in force.
const FOUND: &str = "prices.found";

/// What the audit is known to have.
pub(super) struct Editions {
    default_prices: &'static str,
    /// The version in force when that was last looked at, and its text.
    noted: Option<(Arc<str>, String)>,
    /// The version that was last tried to be noted.
    tried: Option<Arc<str>>,
}

impl Editions {
    pub(super) fn new(default_prices: &'static str) -> Self {
        Self { default_prices, noted: None, tried: None }
    }

    /// Notes the version in force, unless the audit has it. `is_patient`: also if that failed before, and may take long again.
    pub(super) fn look(&mut self, store: &dyn Store, shared: &Shared, is_patient: bool) {
        let snapshot = shared.snapshot.load_full();
        let version = snapshot.prices.version();
        let is_noted = self.noted.as_ref().is_some_and(|(noted, _)| noted == version);
        let is_news = self.tried.as_ref() != Some(version);
        if is_noted || !(is_news || is_patient) {
            return;
        }
        self.tried = Some(version.clone());
        let text = || {
            let text = serve::price_text(&snapshot.config, self.default_prices).ok();
            text.filter(|text| PriceBook::version_of(text) == *version)
        };
        match self.note(store, version, text) {
            Ok(Some(text)) => self.noted = Some((version.clone(), text)),
            Ok(None) => {}
            Err(error) if is_news => tracing::warn!("the audit does not have the prices in force yet: {error}"),
            Err(_) => {}
        }
    }

    /// The version's text, if the audit has it now. `text` is what is in the file, if that is this version.
    fn note(
        &self,
        store: &dyn Store,
        now: &str,
        text: impl Fn() -> Option<String>,
    ) -> Result<Option<String>, StoreError> {
        let is_known = |last: Option<&AuditRow>| last.is_some_and(|last| version(last) == now);
        let latest = Page { after: None, limit: 1 };
        if is_known(store.people().audit_rows(latest, Some(OBJECT))?.first()) {
            return Ok(text());
        }
        let act = Act { at_ms: unix_ms(), actor: Act::GATEWAY.to_owned() };
        let mut noted = None;
        store.people().note_made(&act, FOUND, OBJECT, &mut |last| {
            // A change of the console replaces the file in its own such transaction, and is in force after it: what is in force and
            // not in the file any more is noted as that, if at all.
            noted = text();
            let Some(text) = noted.as_deref().filter(|_| !is_known(last.as_ref())) else { return Ok(None) };
            let before = last.as_ref().map(version);
            let before = before.as_deref().map(|version| Edition { version, text: self.text_of(version) });
            Ok(Some(Revision::between(before, Edition { version: now, text: Some(text) }).images()))
        })?;
        Ok(noted)
    }

    fn text_of(&self, version: &str) -> Option<&str> {
        let (noted, text) = self.noted.as_ref()?;
        (**noted == *version).then_some(text)
    }
}

/// The version that a row says is in force.
fn version(row: &AuditRow) -> String {
    Revision::read(None, row.after.as_deref()).after.version
}
