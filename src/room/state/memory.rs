//! What a room remembers of those who have gone, until it is over.
//!
//! Whoever proves by its key to be the same gets back all that it had. A name proves nothing, so it brings back only what
//! somebody would rather leave behind: being muted, being made a viewer, having written too much. Another name is
//! another person.

use super::super::member::{Key, Media, Role};
use super::super::name::Name;
use super::super::rate::Rate;
use std::collections::VecDeque;

/// How many are remembered, of those who left and of those who were removed.
const REMEMBERED: usize = 256;

/// Those who have gone.
#[derive(Debug, Default)]
pub(super) struct Memory {
    left: VecDeque<Gone>,
    /// Whom hosts have removed.
    kicked: VecDeque<(Name, Option<Key>)>,
}

/// One who has left.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) login: Name,
    pub(super) key: Option<Key>,
    pub(super) role: Role,
    /// What a host lets nothing pass of.
    pub(super) host_muted: Media,
    pub(super) rate: Rate,
}

/// What holds for somebody who comes.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// Whether it has proved to have been here.
    pub(super) is_known: bool,
    pub(super) role: Option<Role>,
    pub(super) host_muted: Media,
    pub(super) rate: Option<Rate>,
}

impl Memory {
    /// Remembers somebody who leaves.
    pub(super) fn keep(&mut self, gone: Gone) {
        self.left.retain(|other| other.login != gone.login || other.key != gone.key);
        self.left.push_back(gone);
        if self.left.len() > REMEMBERED {
            self.left.pop_front();
        }
    }

    /// What holds for somebody of this name and key.
    pub(super) fn recall(&self, login: &Name, key: Option<Key>) -> Recalled {
        let mut recalled = Recalled::default();
        for gone in &self.left {
            let is_proven = key.is_some() && gone.key == key;
            if !is_proven && gone.login != *login {
                continue;
            }
            recalled.is_known |= is_proven;
            let may_more = recalled.role.is_none_or(|role| role >= Role::Speaker);
            if gone.role < Role::Speaker || (is_proven && may_more) {
                recalled.role = Some(gone.role);
            }
            recalled.host_muted = recalled.host_muted.or(gone.host_muted);
            recalled.rate = Some(gone.rate.clone());
        }
        recalled
    }

    /// Forgets the restrictions of somebody who is here again: they go on with it, and may be lifted.
    pub(super) fn forget(&mut self, login: &Name, key: Option<Key>) {
        let is_same = |gone: &Gone| gone.login == *login || (key.is_some() && gone.key == key);
        self.left.retain(|gone| !is_same(gone) || (gone.role >= Role::Speaker && gone.key != key));
    }

    /// Keeps somebody out from now on.
    pub(super) fn kick(&mut self, login: Name, key: Option<Key>) {
        self.kicked.push_back((login, key));
        if self.kicked.len() > REMEMBERED {
            self.kicked.pop_front();
        }
    }

    /// Whether a host has removed somebody of this name or key.
    pub(super) fn is_kicked(&self, login: &Name, key: Option<Key>) -> bool {
        self.kicked.iter().any(|(name, other)| name == login || (key.is_some() && key == *other))
    }
}
