//! What HAProxy tells about a server.

use super::Runtime;
use crate::DriverError;

/// Bits of `srv_admin_state`: forced or inherited or configured maintenance, DNS resolution failed.
const MAINTENANCE: u32 = 0x01 | 0x02 | 0x04 | 0x20;
/// Bits of `srv_admin_state`: forced or inherited drain.
const DRAIN: u32 = 0x08 | 0x10;
/// Bit of `srv_check_state`: checks are configured and not switched off.
const CHECKS_ENABLED: u32 = 0x04;
/// Value of `srv_op_state`: down. The others are starting, running, and stopping.
const STOPPED: u32 = 0;

/// A server's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server {
    operation: u32,
    administration: u32,
    check: u32,
}

impl Server {
    pub(super) fn in_maintenance(self) -> bool {
        self.administration & MAINTENANCE != 0
    }

    pub(super) fn drains(self) -> bool {
        self.administration & DRAIN != 0
    }

    pub(super) fn is_checked(self) -> bool {
        self.check & CHECKS_ENABLED != 0
    }

    pub(super) fn is_up(self) -> bool {
        self.operation != STOPPED
    }
}

/// Looks the server up; `None` if the backend has none of that name.
pub(super) async fn find(
    runtime: &Runtime,
    backend: &str,
    name: &str,
) -> Result<Option<Server>, DriverError> {
    let command = format!("show servers state {backend}");
    let answer = runtime.ask(&command).await?;
    if answer == "Can't find backend." {
        return Err(DriverError::NoSuchPool { endpoint: runtime.to_string(), pool: backend.to_owned() });
    }
    let states = states(&answer).ok_or_else(|| runtime.not_understood(&command, &answer))?;
    Ok(states.into_iter().find(|(server, _)| *server == name).map(|(_, state)| state))
}

/// How many sessions are under way or wait for the server.
pub(super) async fn sessions(runtime: &Runtime, backend: &str, name: &str) -> Result<u64, DriverError> {
    let command = format!("show stat {backend} 4 -1");
    let answer = runtime.ask(&command).await?;
    count(&answer, name).ok_or_else(|| runtime.not_understood(&command, &answer))
}

/// `show servers state`: a version, a line of names after `#`, a line for each server. `None`: not understood.
fn states(answer: &str) -> Option<Vec<(&str, Server)>> {
    let mut lines = answer.lines().filter(|line| !line.trim().is_empty());
    if lines.next()?.trim() != "1" {
        return None;
    }
    let names: Vec<&str> = lines.next()?.strip_prefix("# ")?.split(' ').collect();
    let column = |wanted| names.iter().position(|name| *name == wanted);
    let (name, operation, administration, check) = (
        column("srv_name")?,
        column("srv_op_state")?,
        column("srv_admin_state")?,
        column("srv_check_state")?,
    );
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| fields.get(at)?.parse().ok();
            let server = Server {
                operation: number(operation)?,
                administration: number(administration)?,
                check: number(check)?,
            };
            Some((*fields.get(name)?, server))
        })
        .collect()
}

/// `show stat`: comma-separated, a line of names after `#`. No name and no number has a comma in it; texts that may
/// come later in the line.
fn count(answer: &str, name: &str) -> Option<u64> {
    let mut lines = answer.lines();
    let names: Vec<&str> = lines.next()?.strip_prefix("# ")?.split(',').collect();
    let column = |wanted| names.iter().position(|name| *name == wanted);
    let (name_at, current, queued) = (column("svname")?, column("scur")?, column("qcur")?);
    let fields: Vec<&str> = lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .find(|fields| fields.get(name_at) == Some(&name))?;
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(number(current)? + number(queued)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
                         srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health \
                         srv_check_state\n2 web 1 one 127.0.0.1 0 8 1 1 1 8 2 0 6\n2 web 2 two 127.0.0.1 2 1 1 1 1 1 \
                         0 2 0\n2 web 3 three - 2 4 1 1 1 1 0 2 6\n";

    #[test]
    fn states_are_read_by_the_names_of_their_columns() {
        let states = states(STATE).unwrap();
        let server = |name| states.iter().find(|(server, _)| *server == name).map(|(_, state)| *state);
        let one = server("one").unwrap();
        assert!(one.drains() && one.is_checked() && !one.is_up() && !one.in_maintenance());
        let two = server("two").unwrap();
        assert!(two.in_maintenance() && !two.is_checked() && two.is_up() && !two.drains());
        assert!(server("three").unwrap().in_maintenance(), "as configured");
        assert_eq!(server("four"), None);
    }

    #[test]
    fn what_is_not_understood_is_not_taken_for_an_empty_backend() {
        for answer in ["", "Permission denied", "2\n# srv_name\n", "1\n# srv_name\n2 web 1 one", "1\n"] {
            assert_eq!(states(answer), None, "{answer:?}");
        }
        assert_eq!(states(&STATE.replace("127.0.0.1 0 8", "127.0.0.1 ? ?")), None);
    }

    #[test]
    fn sessions_and_the_queue_count() {
        let answer = "# pxname,svname,qcur,qmax,scur,smax\nweb,one,2,0,3,9\nweb,two,0,0,0,0\n";
        assert_eq!(count(answer, "one"), Some(5));
        assert_eq!(count(answer, "two"), Some(0));
        assert_eq!(count(answer, "three"), None);
        assert_eq!(count("Permission denied", "one"), None);
    }
}
