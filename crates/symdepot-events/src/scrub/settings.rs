//! The setting `scrub` of a project, read and checked. It never reads a setting of the server.

use std::collections::HashSet;

use serde_json::Value;

use super::Scrubber;
use super::keys::Names;

/// Most names in a list.
const MAX_NAMES: usize = 1_000;

impl Default for Scrubber {
    fn default() -> Self {
        Self { defaults: true, ip_addresses: false, names: Names::new(true, HashSet::new(), HashSet::new()) }
    }
}

impl Scrubber {
    /// Reads the setting; null means the defaults. The error names the field.
    pub fn parse(setting: &Value) -> Result<Self, String> {
        let setting = match setting {
            Value::Null => return Ok(Self::default()),
            Value::Object(setting) => setting,
            _ => return Err("scrub is not an object".to_owned()),
        };
        let flag = |key: &str, default: bool| match setting.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("scrub: {key} is neither true nor false")),
        };
        let names = |key: &str| {
            names(setting.get(key)).ok_or_else(|| format!("scrub: {key} is not a list of at most {MAX_NAMES} texts"))
        };
        let (defaults, ip_addresses) = (flag("defaults", true)?, flag("ipAddresses", false)?);
        let names = Names::new(defaults, names("sensitiveFields")?, names("safeFields")?);
        Ok(Self { defaults, ip_addresses, names })
    }
}

/// Names in the form in which they are compared.
fn names(list: Option<&Value>) -> Option<HashSet<String>> {
    let list = match list {
        None | Some(Value::Null) => return Some(HashSet::new()),
        Some(Value::Array(list)) if list.len() <= MAX_NAMES => list,
        Some(_) => return None,
    };
    let folded = list.iter().map(|name| name.as_str().map(Names::folded)).collect::<Option<HashSet<String>>>()?;
    Some(folded.into_iter().filter(|name| !name.is_empty()).collect())
}
