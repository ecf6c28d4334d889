//! What plugins send away (log lines, spans) and does not arrive, for the operator to see.

/// Why something that was to be sent away is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The queue had no room: whoever takes it is too slow.
    QueueFull,
    /// Whoever takes it did not.
    Undelivered,
}

impl Loss {
    /// Both, for those who count.
    pub const ALL: [Self; 2] = [Self::QueueFull, Self::Undelivered];

    /// As it stands in a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Undelivered => "undelivered",
        }
    }
}

/// Counts what is lost, for the operator to see.
pub trait Losses: Send + Sync {
    /// So many more of a plugin's were lost; 0: none yet, but there may be.
    fn lost(&self, plugin: &'static str, loss: Loss, count: u64);
}
