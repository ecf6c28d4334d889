//! `tollgate secret …`: providers' keys that stand sealed in the config file.

use super::args::{Command, SecretVerb};
use super::terminal::{Failure, Outcome, Terminal};
use crate::config::{MasterKeys, SEALED_SECRET_BYTES_MAX, reseal, upstream_names};
use crate::replace::Turn;
use std::io::Read;
use tollgate_plugin_api::did_you_mean;
use zeroize::Zeroizing;

pub(super) fn run(verb: &SecretVerb, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    match verb {
        SecretVerb::Key => Ok(writeln!(terminal.out, "{}", MasterKeys::generate().as_str())?),
        SecretVerb::Seal { upstream } => seal(upstream, command, terminal),
        SecretVerb::Rotate => rotate(command, terminal),
    }
}

/// Reads the key from standard input: an argument would be seen by everybody who lists processes, and stay in the shell's history.
fn seal(upstream: &str, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let keys = master_keys(command, terminal)?;
    let names =
        command.config_file().and_then(|file| std::fs::read_to_string(file).ok()).map(|text| upstream_names(&text));
    if let Some(names) = names.filter(|names| !names.iter().any(|name| name == upstream)) {
        let guess = did_you_mean(upstream, names.iter().map(String::as_str));
        terminal
            .remark(&format!("No upstream is named {upstream:?} yet{guess}: the value opens for that name alone."))?;
    }
    let mut text = Zeroizing::new(String::new());
    let limit = SEALED_SECRET_BYTES_MAX as u64 + 2;
    let read = (&mut *terminal.input).take(limit).read_to_string(&mut text);
    read.map_err(|error| Failure::Runtime(format!("cannot read the key from standard input: {error}")))?;
    let key = text.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected = "expected the provider's key on standard input: visible ASCII without spaces";
        return Err(Failure::Usage(vec![expected.into()]));
    }
    let too_long =
        || Failure::Usage(vec![format!("the key is too long, expected at most {SEALED_SECRET_BYTES_MAX} bytes")]);
    let sealed = keys.seal(key, upstream).ok_or_else(too_long)?;
    Ok(writeln!(terminal.out, "{sealed}")?)
}

fn rotate(command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let keys = master_keys(command, terminal)?;
    let Some(file) = command.config_file() else {
        return Err(Failure::Usage(vec!["there is no config file, so nothing is sealed".into()]));
    };
    let unreadable = |error| Failure::Usage(vec![format!("{}: cannot be read: {error}", file.display())]);
    let unwritten = |error| Failure::Runtime(format!("{}: cannot be written: {error}", file.display()));
    let turn = Turn::take(file).map_err(unwritten)?;
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let (resealed, count) = reseal(&text, file, &keys)?;
    if count > 0 {
        turn.replace(&resealed).map_err(unwritten)?;
    }
    Ok(writeln!(terminal.out, "{count} values in {} are sealed under the first master key", file.display())?)
}

pub(super) fn master_keys(command: &Command, terminal: &Terminal<'_>) -> Result<MasterKeys, Failure> {
    let config = command.places(terminal)?;
    match MasterKeys::find(terminal.env, config.server.master_key_file.as_deref()) {
        Ok(Some(keys)) => Ok(keys),
        Ok(None) => Err(Failure::Usage(vec![
            "there is no master key, expected it in TOLLGATE_MASTER_KEY or in the file of `server.master_key_file`; \
             `tollgate secret key` makes one"
                .into(),
        ])),
        Err(message) => Err(Failure::Usage(vec![message])),
    }
}
