//! What can be typed: the command line as clap reads it. The doc comments here are the help texts.

mod import;
mod price;

pub(super) use import::{ImportArgs, ImportFrom};
pub(super) use price::{PriceExplain, PriceImport, PriceSet, PriceShow, PriceVerb};

use super::amount::parse_usd;
use super::time::{Expiry, parse_expiry, parse_since};
use crate::store::UsageBy;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use tollgate_plugin_api::Worded;

/// Names the config file where the command line does not.
const CONFIG_VARIABLE: &str = "TOLLGATE_CONFIG";

/// An LLM gateway that can be trusted with money.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true, max_term_width = 100)]
pub(super) struct Command {
    /// The config file [default: tollgate.toml, if there is one; else the environment]
    #[arg(short, long, global = true, value_name = "FILE", env = CONFIG_VARIABLE)]
    pub(super) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

impl Command {
    /// Reads a command line, the program's name first. A variable that is empty counts as not set.
    ///
    /// # Errors
    /// It is wrong, or asks for help: what clap says.
    pub(super) fn read(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, clap::Error> {
        let mut parser = Self::command();
        if env(CONFIG_VARIABLE).is_some_and(|file| file.is_empty()) {
            parser = parser.mut_arg("config", |config| config.env(None::<&'static str>));
        }
        let mut matches = parser.try_get_matches_from(arguments)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut Self::command()))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run the gateway
    Serve,
    /// Run the gateway with a built-in simulated provider and a ready key: no account needed
    Demo(Demo),
    /// Check the config file and the prices; exit status 2 if something is wrong
    Check,
    /// Ask the running gateway how it is; exit status 1 if it is not well
    Health(Health),
    /// Keys: what applications use instead of a provider's key
    #[command(subcommand)]
    Key(KeyVerb),
    /// People of the console
    #[command(subcommand)]
    User(UserVerb),
    /// Upstreams: the provider accounts that are configured
    #[command(subcommand)]
    Upstream(UpstreamVerb),
    /// Providers' keys, sealed in the config file so that nobody can read them there
    #[command(subcommand)]
    Secret(SecretVerb),
    /// Prices, in USD per million tokens
    #[command(subcommand)]
    Price(PriceVerb),
    /// The ledger's records, one for each request
    #[command(subcommand)]
    Log(LogVerb),
    /// Where a finished request went, why, and the arithmetic of its cost
    Explain(ExplainArgs),
    /// Sums over the ledger
    Usage(UsageArgs),
    /// The ledger itself
    #[command(subcommand)]
    Ledger(LedgerVerb),
    /// Take over what another gateway has: upstreams, keys, prices
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub(super) listen: SocketAddr,
    /// Only the simulated provider: print where it is, and wait
    #[arg(long, hide = true)]
    pub(super) provider_only: bool,
}

#[derive(Debug, Args)]
pub(super) struct Health {
    /// Ask whether requests should be sent there (readiness), not only whether they are admitted
    #[arg(long)]
    pub(super) ready: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyVerb {
    /// Make a key; its secret is shown this once
    Create(KeyCreate),
    /// List all keys
    List(Listing),
    /// Show one key
    Show(KeyNamed),
    /// Change a key's limits
    Set(KeySet),
    /// Refuse a key from now on; `enable` undoes it
    Disable(KeyNamed),
    /// Accept a key again
    Enable(KeyNamed),
    /// Give a key another secret, shown this once; the old one is refused from now on
    Rotate(KeyNamed),
    /// Delete a key; its records stay in the ledger
    Delete(KeyNamed),
}

#[derive(Debug, Args)]
pub(super) struct Listing {
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct KeyNamed {
    /// The key's name or id
    pub(super) key: String,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct KeyCreate {
    /// A name for it: unique, not a number
    pub(super) name: String,
    /// What it may spend, in USD (`5`, `0.25`); without it, it is unlimited
    #[arg(long, value_name = "USD", value_parser = parse_usd, conflicts_with = "unlimited", allow_hyphen_values = true)]
    pub(super) quota_usd: Option<i64>,
    /// No quota (as by default)
    #[arg(long)]
    pub(super) unlimited: bool,
    #[command(flatten)]
    pub(super) limits: Limits,
    /// The group whose upstreams it may use
    #[arg(long, default_value = "default")]
    pub(super) group: String,
    /// Models it may use, with commas between; without it, every model of its group
    #[arg(long, value_name = "MODEL,…", value_delimiter = ',')]
    pub(super) models: Vec<String>,
    /// The person or team it belongs to
    #[arg(long)]
    pub(super) user: Option<String>,
    /// One JSON object: id, name, key
    #[arg(long)]
    pub(super) json: bool,
}

/// What `create` and `set` have in common.
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// When it ends: 30d, 12h, 2026-12-31, 2026-12-31T18:00:00Z, never
    #[arg(long, value_name = "WHEN", value_parser = parse_expiry, allow_hyphen_values = true)]
    pub(super) expires: Option<Expiry>,
    /// Requests a minute, or none
    #[arg(long, value_name = "N", value_parser = parse_limit, allow_hyphen_values = true)]
    pub(super) rpm: Option<Limit>,
    /// Tokens a minute, or none
    #[arg(long, value_name = "N", value_parser = parse_limit, allow_hyphen_values = true)]
    pub(super) tpm: Option<Limit>,
    /// Requests at once, or none
    #[arg(long, value_name = "N", value_parser = parse_limit, allow_hyphen_values = true)]
    pub(super) concurrency: Option<Limit>,
}

#[derive(Debug, Args)]
pub(super) struct KeySet {
    /// The key's name or id
    pub(super) key: String,
    /// Another name
    #[arg(long)]
    pub(super) name: Option<String>,
    /// What it may spend in all, in USD, including what it has already spent
    #[arg(long, value_name = "USD", value_parser = parse_usd, conflicts_with = "unlimited", allow_hyphen_values = true)]
    pub(super) quota_usd: Option<i64>,
    /// No quota
    #[arg(long)]
    pub(super) unlimited: bool,
    #[command(flatten)]
    pub(super) limits: Limits,
    /// The group whose upstreams it may use
    #[arg(long)]
    pub(super) group: Option<String>,
    /// Models it may use, with commas between
    #[arg(long, value_name = "MODEL,…", value_delimiter = ',', conflicts_with = "all_models")]
    pub(super) models: Option<Vec<String>>,
    /// Every model of its group
    #[arg(long)]
    pub(super) all_models: bool,
    /// The person or team it belongs to
    #[arg(long, conflicts_with = "no_user")]
    pub(super) user: Option<String>,
    /// Nobody in particular
    #[arg(long)]
    pub(super) no_user: bool,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserVerb {
    /// Give somebody another password, made up and shown this once; the old one and all their sessions end
    Password(UserPassword),
}

#[derive(Debug, Args)]
pub(super) struct UserPassword {
    /// The person's name
    pub(super) name: String,
    /// One JSON object: id, name, password
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum UpstreamVerb {
    /// List the upstreams
    List(Listing),
    /// Make a real call to each upstream, of a few tokens, and say what happened; exit status 1 if one failed. (An upstream that makes
    /// pictures or voices alone is asked for its list of models.)
    Test(UpstreamTest),
}

#[derive(Debug, Args)]
pub(super) struct UpstreamTest {
    /// The upstream's name; all of them if none is named
    pub(super) name: Option<String>,
    /// The model to call, as clients name it [default: the upstream's first]
    #[arg(long)]
    pub(super) model: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum SecretVerb {
    /// Make a master key, for TOLLGATE_MASTER_KEY or the file of `server.master_key_file`
    Key,
    /// Seal a provider's key, read from standard input: prints what goes into `api_key`
    Seal {
        /// The upstream's name; the value opens for it alone
        upstream: String,
    },
    /// Seal every sealed value of the config file again, under the first of the master keys
    Rotate,
}

#[derive(Debug, Subcommand)]
pub(super) enum LogVerb {
    /// List records, the latest first
    List(LogList),
}

#[derive(Debug, Args)]
pub(super) struct LogList {
    /// From then on: 1h, 30d, 2026-12-31, 2026-12-31T18:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub(super) since: Option<super::time::Since>,
    /// Of this key (its name, one that it had, or its id)
    #[arg(long)]
    pub(super) key: Option<String>,
    /// For this model, as the client named it
    #[arg(long)]
    pub(super) model: Option<String>,
    /// At most this many [default: 50; with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), allow_hyphen_values = true)]
    pub(super) limit: Option<u64>,
    /// One JSON object a line, with every field
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The request's id, as `x-request-id` and the log say it
    pub(super) request_id: uuid::Uuid,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct UsageArgs {
    /// What the sums are grouped by
    #[arg(long, default_value = "key", value_parser = word::<UsageBy>())]
    pub(super) by: UsageBy,
    /// From then on: 1h, 30d, 2026-12-31, 2026-12-31T18:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub(super) since: Option<super::time::Since>,
    /// Of this key (its name, one that it had, or its id)
    #[arg(long)]
    pub(super) key: Option<String>,
    /// For this model, as the client named it
    #[arg(long)]
    pub(super) model: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// Reads a value by its word.
fn word<T: Worded + Send + Sync>() -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(T::NAMES.iter().copied());
    names.try_map(|word| T::of_word(&word).ok_or("no such word"))
}

#[derive(Debug, Subcommand)]
pub(super) enum LedgerVerb {
    /// Prove that records, hashes, balances and journals agree; exit status 1 if not
    Verify(Listing),
}

/// A limit that was given: a number, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit(pub(super) Option<u64>);

fn parse_limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    // The store keeps signed numbers.
    let number = text.parse::<u64>().ok().filter(|number| (1..=i64::MAX.unsigned_abs()).contains(number));
    number.map(|number| Limit(Some(number))).ok_or_else(|| "expected a whole number from 1, or `none`".into())
}
