//! Sealed values: a provider's key that stands in the file and cannot be read there. AES-256-GCM under a key made of the master
//! key by HKDF; the upstream's name is sealed along, so that a value that is moved to another upstream does not open.
//!
//! The form: `sealed:` and, in base64, a version (1 byte), the mark of the master key (4), a nonce (12), what is sealed with its
//! tag (16), and a checksum of all that (4), which tells a value that was damaged from one that was moved.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use secrecy::SecretString;
use sha2::Sha256;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// How a sealed value begins.
pub(crate) const PREFIX: &str = "sealed:";
/// The environment variable with the master key. It goes before `server.master_key_file`.
pub(crate) const VARIABLE: &str = "TOLLGATE_MASTER_KEY";

/// The only version there is.
const VERSION: u8 = 1;
/// The bytes of a master key.
const KEY_BYTES: usize = 32;
/// The bytes that say which master key it was.
const MARK_BYTES: usize = 4;
/// The bytes of a nonce: 96 bits, random for each value.
const NONCE_BYTES: usize = 12;
/// The bytes of an authentication tag.
const TAG_BYTES: usize = 16;
/// The bytes of a checksum.
const CHECKSUM_BYTES: usize = 4;
/// The longest secret that is sealed, and the longest that is opened, in bytes.
pub(crate) const SECRET_BYTES_MAX: usize = 16 * 1024;
/// The largest file of master keys, in bytes.
const FILE_BYTES_MAX: u64 = 4096;
/// The most master keys at once.
const KEYS_MAX: usize = 8;
/// What may not be done with a file of master keys: anything by others, writing by its group.
const MODE_REFUSED: u32 = 0o027;

/// What keys are made for: nothing else that is ever made of a master key has the same label.
const LABEL_KEY: &[u8] = b"tollgate upstream api_key v1";
const LABEL_MARK: &[u8] = b"tollgate master key mark v1";

const EXPECTED: &str = "expected 32 random bytes in base64, as `tollgate secret key` makes them";

/// One master key, as far as it is needed: the key that seals, and the mark by which it is known.
struct MasterKey {
    cipher: Aes256Gcm,
    mark: [u8; MARK_BYTES],
}

impl MasterKey {
    fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        let hkdf = Hkdf::<Sha256>::new(None, (bytes.len() == KEY_BYTES).then_some(&bytes)?);
        let (mut key, mut mark) = (Zeroizing::new([0; KEY_BYTES]), [0; MARK_BYTES]);
        hkdf.expand(LABEL_KEY, key.as_mut_slice()).ok()?;
        hkdf.expand(LABEL_MARK, &mut mark).ok()?;
        Some(Self { cipher: Aes256Gcm::new_from_slice(key.as_slice()).ok()?, mark })
    }
}

/// The master keys: the first one seals, each opens what it has sealed. More than one while they are being changed.
pub(crate) struct MasterKeys(Vec<MasterKey>);

impl MasterKeys {
    /// A new master key, as it is written down.
    pub(crate) fn generate() -> Zeroizing<String> {
        let bytes: Zeroizing<[u8; KEY_BYTES]> = Zeroizing::new(rand::random());
        Zeroizing::new(STANDARD.encode(bytes.as_slice()))
    }

    /// Those of the environment, else those of the file; none: neither is there.
    ///
    /// # Errors
    /// What is wrong with the one that is used.
    pub(crate) fn find(env: &dyn Fn(&str) -> Option<String>, file: Option<&Path>) -> Result<Option<Self>, String> {
        if let Some(text) = env(VARIABLE) {
            return Self::parse(&Zeroizing::new(text)).map(Some).map_err(|message| format!("{VARIABLE} {message}"));
        }
        file.map(Self::read).transpose()
    }

    /// Those of a file, which nobody but its owner and group may read.
    fn read(path: &Path) -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
        // A pipe would be waited for.
        if !std::fs::metadata(path).map_err(cannot)?.is_file() {
            return Err(format!("{} is no file", path.display()));
        }
        let file = File::open(path).map_err(cannot)?;
        let mode = file.metadata().map_err(cannot)?.mode();
        if mode & MODE_REFUSED != 0 {
            let mode = mode & 0o777;
            let expected = "expected a file that its owner alone may read: `chmod 600`";
            return Err(format!("{} may be read or changed by others (mode {mode:o}), {expected}", path.display()));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(cannot)?;
        Self::parse(&text).map_err(|message| format!("{} {message}", path.display()))
    }

    /// Reads them: white space between. The message never says what there is.
    fn parse(text: &str) -> Result<Self, String> {
        let words = text.split_ascii_whitespace().take(KEYS_MAX + 1);
        let keys: Option<Vec<MasterKey>> = words.map(MasterKey::parse).collect();
        match keys {
            None => Err(format!("holds no master key, {EXPECTED}")),
            Some(keys) if keys.is_empty() => Err(format!("is empty, {EXPECTED}")),
            Some(keys) if keys.len() > KEYS_MAX => Err(format!("has too many keys, expected at most {KEYS_MAX}")),
            Some(keys) => Ok(Self(keys)),
        }
    }

    /// Seals a secret for the upstream of that name; `None`: it is too long.
    pub(crate) fn seal(&self, secret: &str, upstream: &str) -> Option<String> {
        let key = self.0.first().filter(|_| secret.len() <= SECRET_BYTES_MAX)?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: secret.as_bytes(), aad: upstream.as_bytes() };
        let sealed = key.cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
        let mut bytes = [&[VERSION], &key.mark[..], &nonce, &sealed].concat();
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        Some(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// Opens a value of the upstream of that name.
    ///
    /// # Errors
    /// Why it does not open.
    pub(crate) fn open(&self, sealed: &str, upstream: &str) -> Result<SecretString, &'static str> {
        const DAMAGED: &str = "the sealed value is damaged, expected it whole, as `tollgate secret seal` printed it";
        let text = sealed.strip_prefix(PREFIX).ok_or(DAMAGED)?.trim_end();
        let longest = (1 + MARK_BYTES + NONCE_BYTES + SECRET_BYTES_MAX + TAG_BYTES + CHECKSUM_BYTES).div_ceil(3) * 4;
        let bytes = STANDARD.decode(text).ok().filter(|_| text.len() <= longest).ok_or(DAMAGED)?;
        let (rest, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(DAMAGED)?;
        if crc32fast::hash(rest).to_be_bytes() != *checksum {
            return Err(DAMAGED);
        }
        let (version, rest) = rest.split_first().ok_or(DAMAGED)?;
        if *version != VERSION {
            return Err("the value was sealed by another version of Tollgate, expected it sealed by this one");
        }
        let (mark, rest) = rest.split_first_chunk::<MARK_BYTES>().ok_or(DAMAGED)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(DAMAGED)?;
        let keys: Vec<&MasterKey> = self.0.iter().filter(|key| key.mark == *mark).collect();
        if keys.is_empty() {
            return Err("the value was sealed under another master key, expected that one (or the value sealed again)");
        }
        let payload = || Payload { msg: rest, aad: upstream.as_bytes() };
        let opened = keys.iter().find_map(|key| key.cipher.decrypt(&Nonce::from(*nonce), payload()).ok());
        let opened = Zeroizing::new(opened.ok_or(
            "the value was sealed for an upstream of another name (or changed), expected it sealed again for this one",
        )?);
        std::str::from_utf8(&opened).map(SecretString::from).map_err(|_| DAMAGED)
    }
}
