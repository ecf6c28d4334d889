//! What can be compared.

/// What takes the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The stand-in provider itself, without a proxy: what load and provider cost.
    Direct,
    Nginx,
    Envoy,
    Bare,
    /// The same without work stealing, as Tollgate runs it.
    BarePinned,
    Tollgate,
    /// Another build of Tollgate, to see what a change costs.
    Earlier,
    /// Tollgate that makes each record durable before the first byte goes out.
    Durable,
    /// Tollgate as it is by default, while the disk is synced beside it as often as that one does.
    BesideSyncs,
    /// Tollgate that also limits, traces and logs every request.
    Watched,
    /// Tollgate whose clients speak another dialect than its upstream.
    Translated,
    /// Tollgate whose upstream speaks TLS.
    Secured,
    /// The same with HTTP/2.
    SecuredHttp2,
}

/// What the command line knows. (The provider itself is measured in every run.)
const ALL: [Kind; 12] = [
    Kind::Nginx,
    Kind::Envoy,
    Kind::Bare,
    Kind::BarePinned,
    Kind::Tollgate,
    Kind::Earlier,
    Kind::Durable,
    Kind::BesideSyncs,
    Kind::Watched,
    Kind::Translated,
    Kind::Secured,
    Kind::SecuredHttp2,
];

impl Kind {
    /// The proxy with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        self.names().0
    }

    /// Its name in the report.
    pub(crate) fn title(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Direct => ("direct", "no proxy"),
            Self::Nginx => ("nginx", "nginx"),
            Self::Envoy => ("envoy", "Envoy"),
            Self::Bare => ("bare", "bare Pingora"),
            Self::BarePinned => ("bare-pinned", "bare Pingora, no stealing"),
            Self::Tollgate => ("tollgate", "Tollgate"),
            Self::Earlier => ("earlier", "Tollgate, earlier"),
            Self::Durable => ("durable", "Tollgate, durability = power"),
            Self::BesideSyncs => ("beside-syncs", "Tollgate, the disk synced beside it"),
            Self::Watched => ("watched", "Tollgate, limited, traced, logged"),
            Self::Translated => ("translated", "Tollgate, translating"),
            Self::Secured => ("secured", "Tollgate, its provider behind TLS"),
            Self::SecuredHttp2 => ("secured-http2", "Tollgate, its provider behind TLS and HTTP/2"),
        }
    }
}
