//! Names that a key is given and that mean nothing: allowed, for what they name may come later, but seldom meant.

use super::terminal::{Outcome, Terminal, plain};
use crate::config::Config;
use crate::store::{Page, Store};
use std::collections::BTreeSet;
use tollgate_plugin_api::{did_you_mean, one_of};

/// Names that a remark lists.
const NAMES_MAX: usize = 12;

/// What a key was told to have.
pub(super) struct Named<'a> {
    pub(super) group: Option<&'a str>,
    pub(super) models: &'a [String],
    pub(super) user: Option<&'a str>,
}

/// Remarks on what nobody has configured. Where there is nothing of a kind at all, nothing is said of it.
pub(super) fn remark_on_names(
    named: &Named<'_>,
    config: &Config,
    store: &dyn Store,
    terminal: &mut Terminal<'_>,
) -> Outcome {
    let groups = config.upstreams.iter().flat_map(|upstream| &upstream.groups).map(String::as_str).collect();
    let everybody = Page { after: None, limit: u32::MAX };
    let people = if named.user.is_some() { store.people().persons(everybody)? } else { Vec::new() };
    let people = people.iter().map(|listing| &*listing.person.name).collect();
    let models = named.models.iter().map(String::as_str).collect();
    for (what, names, known) in [
        ("no upstream is in group", named.group.into_iter().collect(), groups),
        ("no upstream has the model", models, config.models()),
        ("nobody is called", named.user.into_iter().collect::<Vec<_>>(), people),
    ] {
        for name in names.into_iter().filter(|name| !known.is_empty() && !known.contains(name)) {
            let guess = did_you_mean(name, known.iter().copied());
            terminal.remark(&format!("Note: {what} `{}`; there is {}{guess}", plain(name), among(&known)))?;
        }
    }
    Ok(())
}

/// All of them, or the first and how many more there are.
fn among(known: &BTreeSet<&str>) -> String {
    let first = one_of(known.iter().copied().take(NAMES_MAX));
    match known.len().saturating_sub(NAMES_MAX) {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}
