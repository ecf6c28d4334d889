//! `tollgate import`

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Whose it is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum ImportFrom {
    OneApi,
    NewApi,
    Litellm,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// The other gateway
    pub(in crate::cli) from: ImportFrom,
    /// Its SQLite database (one-api.db), or LiteLLM's config.yaml
    #[arg(value_name = "PATH-OR-URL")]
    pub(in crate::cli) source: String,
    /// LiteLLM's keys: rows of its table LiteLLM_VerificationToken as JSON
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) keys: Option<PathBuf>,
    /// Say what would be taken, and write nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Put providers' keys sealed into the config file, instead of naming environment variables
    #[arg(long)]
    pub(in crate::cli) seal: bool,
    /// Append those variables with their values to this file, which only you can read
    #[arg(long, value_name = "FILE", conflicts_with = "seal")]
    pub(in crate::cli) env_file: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
