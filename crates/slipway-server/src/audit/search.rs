//! Reading the trail again: `slipway admin audit`.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::Value;

use super::files::{self, AuditError};
use crate::files::FileError;

/// What to look for; what is `None` fits everything.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// At or after this time, in the form `2026-11-21T07:05:01Z`.
    pub since: Option<String>,
    /// Before this time.
    pub until: Option<String>,
    /// Name of the operation; `*` at its end stands for anything.
    pub event: Option<String>,
    /// User name, role name, session name, or a part of the caller's ARN.
    pub user: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
    /// Only calls that were refused.
    pub failed: bool,
}

impl Query {
    /// Whether a record fits.
    pub fn matches(&self, record: &Value) -> bool {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let identity = &record["userIdentity"];
        let time = text("eventTime");
        self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time < until)
            && self.event.as_deref().is_none_or(|event| is_named(text("eventName"), event))
            && self.user.as_deref().is_none_or(|user| {
                identity["userName"].as_str() == Some(user)
                    || identity["arn"].as_str().is_some_and(|arn| arn.contains(user))
            })
            && self.request_id.as_deref().is_none_or(|id| text("requestID") == id)
            && (!self.failed || record.get("errorCode").is_some())
    }
}

fn is_named(name: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)),
        None => name.eq_ignore_ascii_case(wanted),
    }
}

/// Hands every record that fits to `found`, oldest file first, as long as it answers true. A running server may be
/// writing meanwhile.
pub fn search(
    data_dir: &Path,
    query: &Query,
    mut found: impl FnMut(Value) -> bool,
) -> Result<(), AuditError> {
    let directory = data_dir.join(files::DIRECTORY);
    for name in files::names(&directory)? {
        let path = directory.join(&name);
        let fail = |source| FileError::new("read", &path, source);
        for line in BufReader::new(File::open(&path).map_err(fail)?).lines() {
            let line = line.map_err(fail)?;
            // Everything but a record is head, tail, or a line that is being written.
            let Ok(record) = serde_json::from_str::<Value>(line.strip_suffix(',').unwrap_or(&line)) else {
                continue;
            };
            if record.get("eventName").is_some() && query.matches(&record) && !found(record) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What is wrong with the chain of sealed files; empty when nothing is (DP-434).
pub fn verify(data_dir: &Path) -> Result<Vec<String>, AuditError> {
    let directory = data_dir.join(files::DIRECTORY);
    let mut problems = Vec::new();
    let mut previous = String::new();
    let links = files::chain(&directory)?;
    for (link, hash) in &links {
        if link.previous != previous {
            problems.push(format!("{}: an entry before it is missing or was changed", link.file));
        }
        previous.clone_from(hash);
        match std::fs::read(directory.join(&link.file)) {
            Ok(content) if files::sha256(&content) == link.sha256 => {}
            Ok(_) => problems.push(format!("{}: its content was changed", link.file)),
            Err(error) => problems.push(format!("{}: it cannot be read: {error}", link.file)),
        }
    }
    let unknown = files::names(&directory)?;
    // The last file may be the one that a server is writing.
    let being_written = unknown.last().cloned();
    for name in unknown {
        if !links.iter().any(|(link, _)| link.file == name) && Some(&name) != being_written.as_ref() {
            problems.push(format!("{name}: it is not in the chain"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::super::files::{Files, Rotation};
    use super::*;
    use serde_json::json;

    fn record(minute: u32, name: &str, user: &str, failed: bool) -> Value {
        let mut record = json!({
            "eventTime": format!("2026-11-21T07:{minute:02}:00Z"), "eventName": name,
            "userIdentity": {"userName": user, "arn": format!("arn:aws:iam::000000000001:user/{user}")},
            "requestID": format!("id-{minute}"),
        });
        if failed {
            record["errorCode"] = json!("AccessDenied");
        }
        record
    }

    fn trail() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::open(dir.path(), Rotation { after_ms: 1, after_bytes: 1 }).unwrap();
        for (minute, name, user, failed) in [
            (1, "CreateUser", "admin", false),
            (2, "CreateDeployment", "bob", true),
            (3, "CreateDeployment", "bob", false),
        ] {
            files.append(&[record(minute, name, user, failed).to_string()], 0).unwrap();
            if minute < 3 {
                files.seal().unwrap();
            }
        }
        files.sync().unwrap();
        dir
    }

    fn ids(dir: &Path, query: &Query) -> Vec<String> {
        let mut ids = Vec::new();
        search(dir, query, |record| {
            ids.push(record["requestID"].as_str().unwrap().to_owned());
            true
        })
        .unwrap();
        ids
    }

    #[test]
    fn the_trail_is_searched_by_time_name_user_and_request_sealed_or_not() {
        let dir = trail();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(ids(dir.path(), &Query::default()), ["id-1", "id-2", "id-3"]);
        for (query, expected) in [
            (Query { since: text("2026-11-21T07:02:00Z"), ..Query::default() }, vec!["id-2", "id-3"]),
            (Query { until: text("2026-11-21T07:02:00Z"), ..Query::default() }, vec!["id-1"]),
            (Query { event: text("createuser"), ..Query::default() }, vec!["id-1"]),
            (Query { event: text("Create*"), user: text("bob"), ..Query::default() }, vec!["id-2", "id-3"]),
            (Query { user: text("user/adm"), ..Query::default() }, vec!["id-1"]),
            (Query { request_id: text("id-3"), ..Query::default() }, vec!["id-3"]),
            (Query { failed: true, ..Query::default() }, vec!["id-2"]),
        ] {
            assert_eq!(ids(dir.path(), &query), expected, "{query:?}");
        }
    }

    #[test]
    fn a_changed_removed_or_added_file_breaks_the_chain_dp_434() {
        let dir = trail();
        assert_eq!(verify(dir.path()).unwrap(), Vec::<String>::new());
        let audit = dir.path().join("audit");
        let names = files::names(&audit).unwrap();
        let first = audit.join(&names[0]);
        let text = std::fs::read_to_string(&first).unwrap();
        std::fs::write(&first, text.replace("admin", "eve")).unwrap();
        assert!(verify(dir.path()).unwrap()[0].contains("was changed"));
        std::fs::remove_file(&first).unwrap();
        assert!(verify(dir.path()).unwrap()[0].contains("cannot be read"));
        std::fs::write(&first, text).unwrap();
        std::fs::write(audit.join("slipway-audit-0000000000-x.json"), "{}").unwrap();
        assert!(verify(dir.path()).unwrap()[0].contains("not in the chain"));
    }
}
