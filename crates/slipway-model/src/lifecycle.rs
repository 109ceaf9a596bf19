//! Lifecycle events: their names, orders, statuses and diagnostics (AS-225, AP-14, AP-18).

use serde::{Deserialize, Serialize};

use crate::Timestamp;

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of the API model.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The wire form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// Reads the wire form.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use text_enum;

text_enum! {
    /// A lifecycle event of a host.
    EventName {
        /// Hook before the load balancer stops sending requests.
        BeforeBlockTraffic,
        /// The control plane takes the host out of the load balancers.
        BlockTraffic,
        /// Hook after that.
        AfterBlockTraffic,
        /// Hook of the previous revision.
        ApplicationStop,
        /// The agent fetches and unpacks the revision.
        DownloadBundle,
        /// Hook before the files are copied.
        BeforeInstall,
        /// The agent copies the files.
        Install,
        /// Hook after the files were copied.
        AfterInstall,
        /// Hook that starts the application.
        ApplicationStart,
        /// Hook that checks it.
        ValidateService,
        /// Hook before the host takes requests again.
        BeforeAllowTraffic,
        /// The control plane puts the host back into the load balancers.
        AllowTraffic,
        /// Hook after that.
        AfterAllowTraffic,
    }
}

impl EventName {
    /// Whether the control plane itself carries the event out through a load-balancer driver (AP-18).
    pub const fn is_driven(self) -> bool {
        matches!(self, Self::BlockTraffic | Self::AllowTraffic)
    }

    /// Whether `ignoreApplicationStopFailures` covers a failure of this event (DP-009, AS-091).
    pub const fn failure_may_be_ignored(self) -> bool {
        matches!(self, Self::ApplicationStop | Self::BeforeBlockTraffic | Self::AfterBlockTraffic)
    }
}

use EventName::{
    AfterAllowTraffic, AfterBlockTraffic, AfterInstall, AllowTraffic, ApplicationStart, ApplicationStop,
    BeforeAllowTraffic, BeforeBlockTraffic, BeforeInstall, BlockTraffic, DownloadBundle, Install,
    ValidateService,
};

/// E1 of AS-225: in place with a load balancer.
pub const IN_PLACE_WITH_TRAFFIC_CONTROL: &[EventName] = &[
    BeforeBlockTraffic,
    BlockTraffic,
    AfterBlockTraffic,
    ApplicationStop,
    DownloadBundle,
    BeforeInstall,
    Install,
    AfterInstall,
    ApplicationStart,
    ValidateService,
    BeforeAllowTraffic,
    AllowTraffic,
    AfterAllowTraffic,
];

/// E2 of AS-225: in place without a load balancer.
pub const IN_PLACE: &[EventName] = &[
    ApplicationStop,
    DownloadBundle,
    BeforeInstall,
    Install,
    AfterInstall,
    ApplicationStart,
    ValidateService,
];

text_enum! {
    /// Status of one lifecycle event on one target.
    EventStatus {
        /// Not begun.
        Pending,
        /// Acknowledged by the agent, or under way in a driver.
        InProgress,
        /// Done.
        Succeeded,
        /// Done badly.
        Failed,
        /// Will not be run.
        Skipped,
        /// Nobody knows.
        Unknown,
    }
}

impl EventStatus {
    /// Whether the event has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped)
    }
}

text_enum! {
    /// Why a lifecycle event ended as it did (AS-215).
    LifecycleErrorCode {
        /// It did not fail.
        Success,
        /// The script is not in the bundle.
        ScriptMissing,
        /// The script cannot be made executable.
        ScriptNotExecutable,
        /// The script ran longer than its timeout.
        ScriptTimedOut,
        /// The script ended with an error.
        ScriptFailed,
        /// Anything else.
        UnknownError,
    }
}

impl LifecycleErrorCode {
    /// Reads the number that agents report (AP-14, AG-063): 6, outputs left open, is `ScriptFailed`;
    /// 7, failed after an agent restart, and numbers that no agent knows are `UnknownError`.
    pub const fn from_agent(code: i64) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::ScriptMissing,
            2 => Self::ScriptNotExecutable,
            3 => Self::ScriptTimedOut,
            4 | 6 => Self::ScriptFailed,
            _ => Self::UnknownError,
        }
    }
}

/// What is known about the end of a lifecycle event; the `Diagnostics` of the public API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Class of the result.
    pub error_code: LifecycleErrorCode,
    /// Location of the script as in the AppSpec file; empty when no script is to blame.
    pub script_name: String,
    /// One sentence.
    pub message: String,
    /// The last lines of the script's output.
    pub log_tail: String,
}

/// Longest log tail that the public API shows, in characters (AP-14).
pub const LOG_TAIL_CHARS: usize = 2048;

impl Diagnostics {
    /// A failure without a script.
    pub fn unknown_error(message: impl Into<String>) -> Self {
        Self {
            error_code: LifecycleErrorCode::UnknownError,
            script_name: String::new(),
            message: message.into(),
            log_tail: String::new(),
        }
    }
}

/// One lifecycle event of one target, as the public API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleEvent {
    /// Name.
    pub name: EventName,
    /// Where it stands.
    pub status: EventStatus,
    /// When the agent acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Diagnostics>,
}

impl LifecycleEvent {
    /// An event that has not begun.
    pub const fn pending(name: EventName) -> Self {
        Self { name, status: EventStatus::Pending, start: None, end: None, diagnostics: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_orders_are_e1_and_e2_of_as_225() {
        let names = |list: &[EventName]| list.iter().map(|e| e.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(IN_PLACE),
            "ApplicationStop DownloadBundle BeforeInstall Install AfterInstall ApplicationStart ValidateService"
        );
        assert_eq!(IN_PLACE_WITH_TRAFFIC_CONTROL.len(), 13);
        assert_eq!(&IN_PLACE_WITH_TRAFFIC_CONTROL[3..10], IN_PLACE);
    }

    #[test]
    fn agent_error_codes_map_as_ap_14_says() {
        let codes = (0..=8).map(|c| LifecycleErrorCode::from_agent(c).as_str()).collect::<Vec<_>>();
        assert_eq!(
            codes,
            [
                "Success",
                "ScriptMissing",
                "ScriptNotExecutable",
                "ScriptTimedOut",
                "ScriptFailed",
                "UnknownError",
                "ScriptFailed",
                "UnknownError",
                "UnknownError"
            ]
        );
    }
}
