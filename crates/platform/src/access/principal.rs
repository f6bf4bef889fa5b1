use std::collections::BTreeSet;
use std::sync::Arc;

use http::Extensions;

use super::names;
use crate::error::{Code, Failure};

/// What a caller is for. A key has one or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads configuration, results and the audit trail.
    Viewer,
    /// Also writes flags, segments, metrics, drafts.
    Editor,
    /// Also starts, stops and otherwise commands what is live.
    Operator,
    /// Also makes keys and does what every other role but `service` does.
    Admin,
    /// Asks for assignments: a service that serves variants.
    Assigner,
    /// Records events and exposures.
    Recorder,
    /// Also records what was decided or happened elsewhere, with times of its own.
    Importer,
    /// A service of ours: reads configuration, and the hashes of keys.
    Service,
    /// Decides in process: reads the compiled configuration and records its decisions. Also asks for assignments.
    Evaluator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Viewer,
        Self::Editor,
        Self::Operator,
        Self::Admin,
        Self::Assigner,
        Self::Recorder,
        Self::Importer,
        Self::Service,
        Self::Evaluator,
    ];

    /// Its name in settings, messages and stores, such as `viewer`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Assigner => "assigner",
            Self::Recorder => "recorder",
            Self::Importer => "importer",
            Self::Service => "service",
            Self::Evaluator => "evaluator",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether who has this role may do what needs `needed`.
    #[must_use]
    pub fn covers(self, needed: Self) -> bool {
        match self {
            Self::Admin => needed != Self::Service,
            Self::Operator => matches!(needed, Self::Operator | Self::Editor | Self::Viewer),
            Self::Editor => matches!(needed, Self::Editor | Self::Viewer),
            Self::Importer => matches!(needed, Self::Importer | Self::Recorder),
            Self::Service => matches!(needed, Self::Service | Self::Viewer),
            Self::Evaluator => matches!(needed, Self::Evaluator | Self::Assigner),
            Self::Viewer | Self::Assigner | Self::Recorder => self == needed,
        }
    }
}

/// In which namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In all, also those to come.
    All,
    /// In these.
    Only(BTreeSet<String>),
}

impl Scope {
    /// Whether `namespace` is in it.
    #[must_use]
    pub fn has(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(namespace),
        }
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(mine), Self::Only(theirs)) => mine.is_superset(theirs),
        }
    }
}

/// Somebody who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who, for the audit trail.
    pub name: String,
    /// What they are for.
    pub roles: BTreeSet<Role>,
    /// Where.
    pub scope: Scope,
}

impl Principal {
    /// Everyone, where no keys are needed: may do everything.
    #[must_use]
    pub fn local() -> Self {
        Self {
            name: "local".to_owned(),
            roles: Role::ALL.into(),
            scope: Scope::All,
        }
    }

    /// Who made the request with these extensions. Where no server of ours has asked, it is somebody who may do nothing.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Arc<Self> {
        let found = extensions.get::<Arc<Self>>().cloned();
        found.unwrap_or_else(|| {
            Arc::new(Self {
                name: "nobody".to_owned(),
                roles: BTreeSet::new(),
                scope: Scope::Only(BTreeSet::new()),
            })
        })
    }

    /// Whether they may do what needs `role`.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.iter().any(|mine| mine.covers(role))
    }

    /// That they may do `what`, which needs `role`.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, with the role that is missing.
    pub fn check_role(&self, role: Role, what: &str) -> Result<(), Failure> {
        if self.has(role) {
            return Ok(());
        }
        let (needed, mine) = (role.name(), names(&self.roles));
        let message = format!(
            "{what} needs role {needed}; `{}` has {mine}. Ask an administrator",
            self.name
        );
        Err(Failure::new(Code::PermissionDenied, "ROLE_REQUIRED", message).with_metadata("role", needed))
    }

    /// That they may work in `namespace`.
    ///
    /// # Errors
    /// `NOT_FOUND`: a foreign namespace and one that does not exist look alike.
    pub fn check_namespace(&self, namespace: &str) -> Result<(), Failure> {
        if self.scope.has(namespace) {
            return Ok(());
        }
        let message = format!("there is no namespace `{namespace}` for this API key; check the namespace");
        Err(Failure::not_found("NAMESPACE_NOT_FOUND", message).with_metadata("namespace", namespace))
    }
}
