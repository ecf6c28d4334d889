//! Who may use an endpoint.

use crate::store::Role;

/// The least that somebody must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever comes.
    Anybody,
    /// Signed in, with this role or a higher one.
    Role(Role),
    /// The same, or whoever shows the reload secret as a bearer.
    RoleOrSecret(Role),
}

/// Whoever comes.
pub(super) const NOBODY: Access = Access::Anybody;
/// Everybody who is signed in.
pub(super) const USER: Access = Access::Role(Role::User);
/// Operators and admins.
pub(super) const OPERATOR: Access = Access::Role(Role::Operator);
/// Admins.
pub(super) const ADMIN: Access = Access::Role(Role::Admin);

impl Access {
    /// Its word in the API's description.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Anybody => "none",
            Self::Role(role) | Self::RoleOrSecret(role) => role.as_str(),
        }
    }

    /// The role that it asks for.
    pub(super) fn role(self) -> Option<Role> {
        match self {
            Self::Anybody => None,
            Self::Role(role) | Self::RoleOrSecret(role) => Some(role),
        }
    }
}
