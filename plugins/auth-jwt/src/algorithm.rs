//! The algorithms that there are (RFC 7518, 3). `none` is not among them, whatever its spelling.

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// HMAC with SHA-256: by a secret that issuer and gateway share.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 3] = [Self::Hs256, Self::Rs256, Self::Es256];

    /// How tokens and the configuration name it; the case matters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}
