//! What of a program is searched for its secrets ([`crate::leaks`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Setup;
use crate::leaks::{self, Watch};

/// A program's secrets, and what must be looked into at its end.
pub(super) struct Watched {
    pub(super) watch: Arc<Watch>,
    envs: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    of_config: Mutex<OfConfig>,
}

#[derive(Default)]
struct OfConfig {
    admin: Option<String>,
    states: BTreeSet<PathBuf>,
}

/// Files of a program's folder that a test writes.
const OWN: [&str; 2] = ["llmleaf.toml", "new.toml"];

impl Watched {
    pub(super) fn new(setup: &Setup) -> Self {
        let watched = Watched {
            watch: Arc::default(),
            envs: setup.envs.iter().cloned().collect(),
            files: setup.files.iter().cloned().collect(),
            of_config: Mutex::default(),
        };
        for (name, value) in &setup.envs {
            if ["KEY", "TOKEN", "SECRET"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                watched.watch.add(name, value);
            }
        }
        for text in watched.files.values() {
            for (name, secret) in leaks::in_text(text) {
                watched.watch.add(&name, &secret);
            }
        }
        watched.learn(&setup.config);
        watched
    }

    /// Takes in the secrets of a configuration.
    pub(super) fn learn(&self, config: &str) {
        let env = |name: &str| self.envs.get(name).cloned();
        let file = |path: &str| {
            let name = Path::new(path).file_name()?.to_str()?;
            self.files.get(name).cloned()
        };
        let mut of_config = self
            .of_config
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (name, secret) in leaks::in_config(config, env, file) {
            if name == "admin_token" {
                of_config.admin = Some(secret.clone());
            }
            self.watch.add(&name, &secret);
        }
        let states = config.split("state_dir = \"").skip(1);
        let states = states.filter_map(|rest| rest.split('"').next());
        of_config.states.extend(states.map(PathBuf::from));
    }

    /// Asks the running program for all that it tells its operators.
    pub(super) fn ask(&self, addr: SocketAddr) {
        let of_config = self
            .of_config
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = &of_config.admin {
            leaks::ask_all(addr, token, &self.watch);
        }
    }

    /// Looks into the files that it left in its folder and where else it keeps any.
    pub(super) fn look_into(&self, folder: &Path) {
        let own = OWN.map(str::to_owned);
        let but = own.into_iter().chain(self.files.keys().cloned()).collect();
        self.watch.look_into(folder, &but);
        let of_config = self
            .of_config
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for state in &of_config.states {
            self.watch.look_into(&folder.join(state), &but);
        }
    }

    /// # Panics
    /// When a secret was found anywhere.
    pub(super) fn expect_none(&self) {
        let found = self.watch.take();
        let (secrets, bytes) = self.watch.extent();
        assert!(
            found.is_empty(),
            "secrets got out ({secrets} searched for in {bytes} bytes):\n{}",
            found.join("\n")
        );
    }
}
