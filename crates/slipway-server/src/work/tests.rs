//! The workers, the hub and the command service together, with a clock that stands still until a test moves it.

use slipway_wire::codedeploy::{self as wire, Service as _};

use crate::api::codedeploy::CodeDeploy;
use crate::clock::Clock as _;
use crate::lab::Lab;

const ALL: &str = "CodeDeployDefault.AllAtOnce";

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_poll_is_woken_by_a_new_deployment_ap_04() {
    let lab = Lab::new().await;
    lab.group("app", &["h1"], ALL).await;
    let (command, id) = tokio::join!(
        async {
            loop {
                if let Some(command) = lab.poll("h1").await {
                    return command;
                }
            }
        },
        lab.deploy("app")
    );
    assert_eq!(command.command_name.as_deref(), Some("ApplicationStop"));
    assert!(command.deployment_execution_id.expect("an id").ends_with(&format!("deployment/{id}")));
    assert_eq!(command.host_identifier.as_deref(), Some("arn:aws:iam::000000000001:user/h1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_events_in_order_and_the_group_remembers_as_225_d_26() {
    let lab = Lab::new().await;
    lab.group("app", &["h1"], ALL).await;
    let id = lab.deploy("app").await;
    lab.walk("h1", 7).await;
    let info = lab.ended(&id).await;
    assert_eq!(info.status.as_deref(), Some("Succeeded"));
    let input = wire::GetDeploymentGroupInput {
        application_name: Some("app".to_owned()),
        deployment_group_name: Some("group".to_owned()),
    };
    let group = CodeDeploy.get_deployment_group(&lab.admin(), input).await.expect("the group");
    let group = group.deployment_group_info.expect("its information");
    assert_eq!(group.last_successful_deployment.expect("one").deployment_id.as_deref(), Some(id.as_str()));
    assert!(group.target_revision.is_some());
    assert_eq!(lab.running.control().store.next_due().await.expect("a read"), None, "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_no_agent_takes_fails_after_five_minutes_as_164() {
    let lab = Lab::new().await;
    lab.group("app", &["h1", "h2"], ALL).await;
    let id = lab.deploy("app").await;
    lab.advance_minutes(4).await;
    assert_eq!(lab.info(&id).await.status.as_deref(), Some("InProgress"));
    lab.advance_minutes(2).await;
    let info = lab.ended(&id).await;
    assert_eq!(info.status.as_deref(), Some("Failed"));
    assert_eq!(info.error_information.expect("a reason").code.as_deref(), Some("HEALTH_CONSTRAINTS"));
    let events = lab.events(&id, "h1").await;
    assert_eq!(events[0].status.as_deref(), Some("Failed"));
    let message = events[0].diagnostics.as_ref().and_then(|d| d.message.as_deref()).expect("a message");
    assert!(
        message.starts_with("CodeDeploy agent was not able to receive the lifecycle event."),
        "{message}"
    );
    assert!(events[1..].iter().all(|e| e.status.as_deref() == Some("Skipped")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_hand_out_comes_again_and_runs_once_ap_37() {
    let lab = Lab::new().await;
    lab.group("app", &["h1"], ALL).await;
    lab.deploy("app").await;
    let lost = lab.poll("h1").await.expect("a command");
    assert!(lab.poll("h1").await.is_none(), "it is out");
    lab.advance_minutes(1).await;
    let again = lab.poll("h1").await.expect("the same command again");
    assert_ne!(lost.host_command_identifier, again.host_command_identifier);
    assert_eq!(lost.command_name, again.command_name);

    assert_eq!(lab.acknowledge("h1", &lost).await.expect("an answer"), "InProgress", "the first one owns it");
    assert_eq!(lab.acknowledge("h1", &again).await.expect("an answer"), "Succeeded", "skipped in silence");
    assert_eq!(lab.acknowledge("h1", &lost).await.expect("an answer"), "InProgress", "a repeat (AP-36)");
    lab.complete("h1", &again, "Failed").await.expect("accepted and ignored");
    lab.complete("h1", &lost, "Succeeded").await.expect("accepted");
    lab.complete("h1", &lost, "Failed").await.expect("a late report is accepted and changes nothing (AP-15)");
    assert_eq!(lab.poll("h1").await.expect("the next event").command_name.as_deref(), Some("DownloadBundle"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_without_acknowledgement_ends_the_event_ap_35() {
    let lab = Lab::new().await;
    lab.group("app", &["h1"], ALL).await;
    let id = lab.deploy("app").await;
    let command = lab.poll("h1").await.expect("a command");
    lab.complete("h1", &command, "Failed").await.expect("accepted");
    assert_eq!(lab.ended(&id).await.status.as_deref(), Some("Failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_has_at_most_sixteen_commands_outstanding_ap_38() {
    let lab = Lab::new().await;
    let names: Vec<String> = (0..17).map(|n| format!("app{n}")).collect();
    for name in &names {
        lab.group(name, &["h1"], ALL).await;
        lab.deploy(name).await;
    }
    let mut commands = Vec::new();
    for _ in 0..16 {
        commands.push(lab.poll("h1").await.expect("a command"));
    }
    for command in &commands {
        assert_eq!(lab.acknowledge("h1", command).await.expect("an answer"), "InProgress");
    }
    assert!(lab.poll("h1").await.is_none(), "the seventeenth waits");
    lab.complete("h1", &commands[0], "Failed").await.expect("accepted");
    assert!(lab.poll("h1").await.is_some(), "a place is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_any_agent_came_ends_at_once_dp_120() {
    let lab = Lab::new().await;
    lab.group("app", &["h1", "h2", "h3"], "CodeDeployDefault.OneAtATime").await;
    let id = lab.deploy("app").await;
    let input = wire::StopDeploymentInput { deployment_id: Some(id.clone()), auto_rollback_enabled: None };
    CodeDeploy.stop_deployment(&lab.admin(), input).await.expect("accepted");
    let info = lab.ended(&id).await;
    assert_eq!(info.status.as_deref(), Some("Stopped"));
    assert_eq!(info.error_information.expect("a reason").code.as_deref(), Some("MANUAL_STOP"));
    assert_eq!(info.deployment_overview.expect("counts").skipped, Some(3));
    assert!(lab.poll("h1").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_a_command_that_was_not_begun_and_waits_for_one_that_was_ap_13() {
    let lab = Lab::new().await;
    lab.group("app", &["h1", "h2"], ALL).await;
    let id = lab.deploy("app").await;
    let running = lab.poll("h1").await.expect("a command");
    assert_eq!(lab.acknowledge("h1", &running).await.expect("an answer"), "InProgress");
    let handed_out = lab.poll("h2").await.expect("a command");
    let input = wire::StopDeploymentInput { deployment_id: Some(id.clone()), auto_rollback_enabled: None };
    let answer = CodeDeploy.stop_deployment(&lab.admin(), input).await.expect("accepted");
    assert_eq!(answer.status.as_deref(), Some("Pending"));
    lab.until(&id, |info| info.deployment_overview.as_ref().and_then(|o| o.in_progress) == Some(1)).await;
    assert_eq!(lab.acknowledge("h2", &handed_out).await.expect("an answer"), "Failed");
    lab.complete("h1", &running, "Succeeded").await.expect("accepted");
    assert_eq!(lab.ended(&id).await.status.as_deref(), Some("Stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_while_the_server_was_down_holds_nothing_up() {
    let lab = Lab::new().await;
    lab.group("app", &["h1"], ALL).await;
    let id = lab.deploy("app").await;
    lab.walk("h1", 2).await;
    lab.clock.jump_millis(-3_600_000);
    let lab = lab.restart().await;
    lab.walk("h1", 5).await;
    assert_eq!(lab.ended(&id).await.status.as_deref(), Some("Succeeded"));
    time_is_followed(&lab).await;
}

/// Waits until the time of deployments is that of the clock.
async fn time_is_followed(lab: &Lab) {
    let behind = || lab.clock.now().millis_since(lab.running.control().work_clock.now());
    lab.advance_minutes(0).await;
    for _ in 0..1000 {
        if behind() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nothing is under way, and yet the clock is not followed: {} ms", behind());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_deleted_under_a_deployment_leaves_nothing_due_cf_315() {
    let lab = Lab::new().await;
    lab.group("app", &["h1"], ALL).await;
    lab.deploy("app").await;
    let command = lab.poll("h1").await.expect("a command");
    let input = wire::DeleteDeploymentGroupInput {
        application_name: Some("app".to_owned()),
        deployment_group_name: Some("group".to_owned()),
    };
    CodeDeploy.delete_deployment_group(&lab.admin(), input).await.expect("deleted");
    let refused = lab.acknowledge("h1", &command).await.expect_err("there is no such command any more");
    assert_eq!(refused.kind, slipway_wire::ErrorKind::ClientException);
    assert!(lab.poll("h1").await.is_none());
    assert_eq!(lab.running.control().store.next_due().await.expect("a read"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn unhealthy_hosts_come_first_next_time_cf_012() {
    let lab = Lab::new().await;
    lab.group("app", &["h1", "h2"], ALL).await;
    let id = lab.deploy("app").await;
    let command = lab.poll("h2").await.expect("a command");
    lab.complete("h2", &command, "Failed").await.expect("accepted");
    lab.walk("h1", 7).await;
    assert_eq!(
        lab.ended(&id).await.status.as_deref(),
        Some("Succeeded"),
        "with a minimum of 0 one success is enough"
    );
    let id = lab.deploy("app").await;
    let input = wire::ListDeploymentTargetsInput { deployment_id: Some(id), ..Default::default() };
    let listed = CodeDeploy.list_deployment_targets(&lab.admin(), input).await.expect("targets");
    assert_eq!(listed.target_ids.expect("names"), ["h2", "h1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_without_hosts_fails_with_its_code_cf_031() {
    let lab = Lab::new().await;
    lab.group("app", &[], ALL).await;
    let id = lab.deploy("app").await;
    let error = lab.ended(&id).await.error_information.expect("a reason");
    assert_eq!(error.code.as_deref(), Some("NO_INSTANCES"));
}

/// A clock that is set, or a machine that wakes up, in the middle of a deployment.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_an_hour_neither_fails_a_deployment_nor_holds_it_up() {
    const HOUR: i64 = 3_600_000;
    for jump in [HOUR, -HOUR] {
        let lab = Lab::new().await;
        lab.group("app", &["h1", "h2"], ALL).await;
        let id = lab.deploy("app").await;
        let running = lab.poll("h1").await.expect("a command");
        assert_eq!(lab.acknowledge("h1", &running).await.expect("an answer"), "InProgress");
        lab.clock.jump_millis(jump);
        lab.advance_minutes(1).await;
        lab.complete("h1", &running, "Succeeded").await.expect("accepted");
        lab.walk("h1", 6).await;
        lab.walk("h2", 7).await;
        let info = lab.ended(&id).await;
        assert_eq!(info.status.as_deref(), Some("Succeeded"), "{jump}");
        assert!(info.complete_time >= info.start_time && info.start_time >= info.create_time);
        // With nothing under way, new deployments have the new time.
        time_is_followed(&lab).await;
        let id = lab.deploy("app").await;
        lab.walk("h1", 7).await;
        lab.walk("h2", 7).await;
        assert_eq!(lab.ended(&id).await.status.as_deref(), Some("Succeeded"), "{jump}");
    }
}

/// Between the end of a limit and the tick that says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_comes_when_the_time_for_its_command_is_over_is_answered_empty_as_164() {
    let lab = Lab::new().await;
    lab.group("app", &["h1"], ALL).await;
    lab.deploy("app").await;
    lab.clock.advance_millis(6 * 60_000);
    assert!(lab.poll("h1").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_host_keeps_what_was_installed_unless_the_group_moves_on_cf_014_cf_016() {
    let lab = Lab::new().await;
    lab.group("app", &["h1", "h2"], ALL).await;
    let group = async || {
        let input = wire::GetDeploymentGroupInput {
            application_name: Some("app".to_owned()),
            deployment_group_name: Some("group".to_owned()),
        };
        let group = CodeDeploy.get_deployment_group(&lab.admin(), input).await.expect("the group");
        group.deployment_group_info.and_then(|info| info.deployment_group_id).expect("an id")
    };
    let store = &lab.running.control().store;
    let id = lab.deploy("app").await;
    lab.walk("h1", 7).await;
    lab.walk("h2", 7).await;
    lab.ended(&id).await;
    let fail = async |host: &str| {
        let command = lab.poll(host).await.expect("a command");
        lab.complete(host, &command, "Failed").await.expect("accepted");
    };
    let health = async || {
        let rows = store.host_health(&group().await).await.expect("a read");
        let of = |name: &str| {
            let row = rows.iter().find(|row| row.host.contains(name)).expect("health");
            (row.healthy, row.installed_revision.is_some())
        };
        (of("instance/h1_"), of("instance/h2_"))
    };

    let id = lab.deploy("app").await;
    fail("h1").await;
    fail("h2").await;
    assert_eq!(lab.ended(&id).await.status.as_deref(), Some("Failed"));
    assert_eq!(health().await, ((false, true), (false, true)));

    let id = lab.deploy("app").await;
    fail("h1").await;
    lab.walk("h2", 7).await;
    assert_eq!(lab.ended(&id).await.status.as_deref(), Some("Succeeded"));
    assert_eq!(health().await, ((false, false), (true, true)));
}
