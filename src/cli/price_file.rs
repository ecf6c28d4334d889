//! The pricing file: read with the places of its errors, written in one piece.

use super::terminal::Failure;
use crate::config::Config;
use crate::price::{self, PriceBook, PriceError};
use std::fs;
use std::io;
use std::path::Path;

/// The prices that stand in where the pricing file is missing: those that come with the binary if nobody configured
/// anything, none if somebody did.
pub(super) fn default_prices(config: &Config) -> &'static str {
    if config.file.is_some() { "" } else { price::SEED }
}

/// The file's text; none: there is no such file.
pub(super) fn read_text(file: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Usage(vec![format!("{}: cannot be read: {error}", file.display())])),
    }
}

/// A file could not be replaced.
pub(super) fn unwritten(file: &Path, error: &io::Error) -> Failure {
    Failure::Runtime(format!("{}: cannot be written: {error}", file.display()))
}

/// The price book of the file, or of what stands in for it.
pub(super) fn read_book(config: &Config) -> Result<PriceBook, Failure> {
    let file = &config.pricing.file;
    let text = read_text(file)?;
    PriceBook::parse(text.as_deref().unwrap_or_else(|| default_prices(config))).map_err(|errors| listed(file, &errors))
}

/// Errors with their places, one a line.
pub(super) fn listed(file: &Path, errors: &[PriceError]) -> Failure {
    Failure::Usage(errors.iter().map(|error| format!("{}:{error}", file.display())).collect())
}
