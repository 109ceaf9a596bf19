//! A control plane in a scratch directory, with a clock that stands still, for the tests of this crate.

use std::sync::Arc;

use slipway_auth::identity::Principal;
use slipway_model::{AccountId, Region, Scope, Timestamp};
use slipway_store::{ChangeSet, Notice};
use slipway_wire::ApiError;
use slipway_wire::codedeploy::{self as wire, Service as _};
use slipway_wire::commands::{
    HostCommandInstance, PollHostCommandInput, PutHostCommandAcknowledgementInput,
    PutHostCommandCompleteInput, Service as _,
};

use crate::access::{Caller, RequestContext};
use crate::api::codedeploy::CodeDeploy;
use crate::clock::ManualClock;
use crate::commands::Commands;
use crate::config::{Config, Sources};
use crate::start::{Running, start};

const ACCOUNT: &str = "000000000001";
/// 2026-11-21T00:00:00Z.
const BEGINNING: Timestamp = Timestamp(1_795_219_200_000);

pub(crate) struct Lab {
    pub(crate) running: Running,
    pub(crate) clock: Arc<ManualClock>,
    admin: Principal,
    directory: tempfile::TempDir,
}

impl Lab {
    /// A control plane that has been up long enough to hold agents to their limits.
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let lab = Self::start_in(directory, Arc::new(ManualClock::new(BEGINNING))).await;
        lab.advance_minutes(10).await;
        lab
    }

    /// The same control plane, stopped and started again.
    pub(crate) async fn restart(self) -> Self {
        self.running.stop().await;
        Self::start_in(self.directory, self.clock).await
    }

    async fn start_in(directory: tempfile::TempDir, clock: Arc<ManualClock>) -> Self {
        let flags = [
            ("data_dir", directory.path().to_str().expect("a path in UTF-8")),
            ("listen", "127.0.0.1:0"),
            ("poll_hold_seconds", "1"),
        ];
        let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let config = Config::load(&Sources { flags, ..Sources::default() }).expect("a valid configuration");
        let running = start(config, clock.clone()).await.expect("a control plane");
        let store = running.control().store.as_ref();
        let admin =
            crate::identities::records::user(store, ACCOUNT, "admin").await.expect("a read").expect("admin");
        Self { running, clock, admin: admin.value.principal(), directory }
    }

    pub(crate) fn admin(&self) -> RequestContext {
        self.context(self.admin.clone(), "codedeploy")
    }

    pub(crate) fn host(&self, name: &str) -> RequestContext {
        self.context(Principal::user(ACCOUNT, "/", name, "AIDAAAAAAAAAAAAAAAAA"), "codedeploy-commands")
    }

    fn context(&self, principal: Principal, signing_service: &str) -> RequestContext {
        RequestContext {
            control: Arc::clone(self.running.control()),
            caller: Caller {
                principal,
                scope: Scope {
                    account: AccountId::new(ACCOUNT).expect("an account"),
                    region: Region::new("us-east-1").expect("a region"),
                },
                request_id: "test".to_owned(),
                source_ip: None,
                agent_version: Some("TEST_1.8.1".to_owned()),
                user_agent: None,
                access_key_id: "AKIAAAAAAAAAAAAAAAAA".to_owned(),
                secure_transport: true,
                signing_service: signing_service.to_owned(),
                session: None,
            },
        }
    }

    /// Moves the clock, and tells the workers, who would notice by themselves within seconds.
    pub(crate) async fn advance_minutes(&self, minutes: i64) {
        self.clock.advance_millis(minutes * 60_000);
        let mut change = ChangeSet::new();
        change.notify(Notice::WorkDue);
        self.running.control().store.commit(change).await.expect("a commit");
    }

    /// An application with a group of these hosts, none of which polls yet.
    pub(crate) async fn group(&self, name: &str, hosts: &[&str], config: &str) {
        let admin = self.admin();
        let tag = |key: &str| wire::Tag { key: Some(key.to_owned()), value: Some("yes".to_owned()) };
        for host in hosts {
            let registered = CodeDeploy
                .register_on_premises_instance(
                    &admin,
                    wire::RegisterOnPremisesInstanceInput {
                        instance_name: Some((*host).to_owned()),
                        iam_user_arn: Some(format!("arn:aws:iam::{ACCOUNT}:user/{host}")),
                        iam_session_arn: None,
                    },
                )
                .await;
            // A host may be in several groups.
            let _ = registered;
            CodeDeploy
                .add_tags_to_on_premises_instances(
                    &admin,
                    wire::AddTagsToOnPremisesInstancesInput {
                        tags: Some(vec![tag("fleet")]),
                        instance_names: Some(vec![(*host).to_owned()]),
                    },
                )
                .await
                .expect("tags");
        }
        CodeDeploy
            .create_application(
                &admin,
                wire::CreateApplicationInput {
                    application_name: Some(name.to_owned()),
                    ..Default::default()
                },
            )
            .await
            .expect("an application");
        CodeDeploy
            .create_deployment_group(
                &admin,
                wire::CreateDeploymentGroupInput {
                    application_name: Some(name.to_owned()),
                    deployment_group_name: Some("group".to_owned()),
                    deployment_config_name: Some(config.to_owned()),
                    service_role_arn: Some(format!("arn:aws:iam::{ACCOUNT}:role/CodeDeployServiceRole")),
                    on_premises_instance_tag_filters: Some(vec![wire::TagFilter {
                        key: Some("fleet".to_owned()),
                        value: Some("yes".to_owned()),
                        r#type: Some("KEY_AND_VALUE".to_owned()),
                    }]),
                    ..Default::default()
                },
            )
            .await
            .expect("a group");
    }

    /// Starts a deployment and waits until its targets are known.
    pub(crate) async fn deploy(&self, application: &str) -> String {
        let input = wire::CreateDeploymentInput {
            application_name: Some(application.to_owned()),
            deployment_group_name: Some("group".to_owned()),
            revision: Some(wire::RevisionLocation {
                revision_type: Some("S3".to_owned()),
                s3_location: Some(wire::S3Location {
                    bucket: Some("elsewhere".to_owned()),
                    key: Some("app.zip".to_owned()),
                    bundle_type: Some("zip".to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let id =
            CodeDeploy.create_deployment(&self.admin(), input).await.expect("a deployment").deployment_id;
        let id = id.expect("an id");
        self.until(&id, |info| info.status.as_deref() != Some("Created")).await;
        id
    }

    pub(crate) async fn info(&self, id: &str) -> wire::DeploymentInfo {
        let input = wire::GetDeploymentInput { deployment_id: Some(id.to_owned()) };
        let output = CodeDeploy.get_deployment(&self.admin(), input).await.expect("the deployment");
        output.deployment_info.expect("its information")
    }

    /// Waits until the deployment is as wanted; the limit ends a broken test, it times nothing.
    pub(crate) async fn until(
        &self,
        id: &str,
        wanted: impl Fn(&wire::DeploymentInfo) -> bool,
    ) -> wire::DeploymentInfo {
        for _ in 0..3000 {
            let info = self.info(id).await;
            if wanted(&info) {
                return info;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("never came about: {:?}", self.info(id).await);
    }

    pub(crate) async fn ended(&self, id: &str) -> wire::DeploymentInfo {
        self.until(id, |info| matches!(info.status.as_deref(), Some("Succeeded" | "Failed" | "Stopped")))
            .await
    }

    pub(crate) async fn events(&self, id: &str, host: &str) -> Vec<wire::LifecycleEvent> {
        let input = wire::GetDeploymentTargetInput {
            deployment_id: Some(id.to_owned()),
            target_id: Some(host.to_owned()),
        };
        let output = CodeDeploy.get_deployment_target(&self.admin(), input).await.expect("the target");
        let target = output.deployment_target.and_then(|t| t.instance_target).expect("an instance target");
        target.lifecycle_events.expect("events")
    }

    pub(crate) async fn poll(&self, host: &str) -> Option<HostCommandInstance> {
        let context = self.host(host);
        let input = PollHostCommandInput { host_identifier: Some(context.caller.principal.arn.clone()) };
        Commands.poll_host_command(&context, input).await.expect("an answer").host_command
    }

    pub(crate) async fn acknowledge(
        &self,
        host: &str,
        command: &HostCommandInstance,
    ) -> Result<String, ApiError> {
        let input = PutHostCommandAcknowledgementInput {
            host_command_identifier: command.host_command_identifier.clone(),
            diagnostics: None,
        };
        let answer = Commands.put_host_command_acknowledgement(&self.host(host), input).await?;
        Ok(answer.command_status.expect("a status"))
    }

    pub(crate) async fn complete(
        &self,
        host: &str,
        command: &HostCommandInstance,
        status: &str,
    ) -> Result<(), ApiError> {
        let input = PutHostCommandCompleteInput {
            host_command_identifier: command.host_command_identifier.clone(),
            command_status: Some(status.to_owned()),
            diagnostics: None,
        };
        Commands.put_host_command_complete(&self.host(host), input).await
    }

    /// Walks a host through all events of its deployment.
    pub(crate) async fn walk(&self, host: &str, events: usize) {
        for _ in 0..events {
            let command = self.poll(host).await.expect("a command");
            assert_eq!(self.acknowledge(host, &command).await.expect("an answer"), "InProgress");
            self.complete(host, &command, "Succeeded").await.expect("accepted");
        }
    }
}
