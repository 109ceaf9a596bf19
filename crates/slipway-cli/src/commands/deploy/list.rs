//! `slipway deploy list`.

use std::io::Write as _;

use jiff::tz::TimeZone;
use slipway_wire::codedeploy::{DeploymentInfo, ListDeploymentsInput, ListDeploymentsOutput, Operation};

use super::Outcome;
use crate::aws::Client;
use crate::location::show_revision;
use crate::progress::get_deployment;

/// List deployments, newest first
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those of this application
    #[arg(long, value_name = "NAME")]
    application_name: Option<String>,
    /// Only those of this deployment group
    #[arg(long, value_name = "NAME", requires = "application_name")]
    deployment_group_name: Option<String>,
    /// At most this many
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    max_items: usize,
}

pub(super) async fn run(client: &Client, args: &Args) -> anyhow::Result<Outcome> {
    let mut rows =
        vec![["DEPLOYMENT", "STATUS", "APPLICATION", "GROUP", "CREATED", "REVISION"].map(str::to_owned)];
    for id in ids(client, args).await? {
        match get_deployment(client, &id).await {
            Ok(info) => rows.push(row(&info)),
            // Deleted since it was listed.
            Err(error) if error.code() == Some("DeploymentDoesNotExistException") => {}
            Err(error) => return Err(error.into()),
        }
    }
    write!(std::io::stdout(), "{}", table(&rows))?;
    Ok(Outcome::Done)
}

async fn ids(client: &Client, args: &Args) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut input = ListDeploymentsInput {
        application_name: args.application_name.clone(),
        deployment_group_name: args.deployment_group_name.clone(),
        ..ListDeploymentsInput::default()
    };
    while found.len() < args.max_items {
        let output: ListDeploymentsOutput = client.codedeploy(Operation::ListDeployments, &input).await?;
        found.extend(output.deployments.unwrap_or_default());
        input.next_token = output.next_token;
        if input.next_token.is_none() {
            break;
        }
    }
    found.truncate(args.max_items);
    Ok(found)
}

fn row(info: &DeploymentInfo) -> [String; 6] {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let created = info.create_time.and_then(|time| jiff::Timestamp::from_millisecond(time.as_millis()).ok());
    let created =
        created.map(|time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string());
    [
        text(&info.deployment_id),
        text(&info.status),
        text(&info.application_name),
        text(&info.deployment_group_name),
        text(&created),
        show_revision(info.revision.as_ref()),
    ]
}

/// Columns as wide as their widest cell.
fn table(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["A", "STATUS", "c", "d", "e", "f"], ["d-1234", "X", "c", "d", "e", "f"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "A       STATUS  c  d  e  f\nd-1234  X       c  d  e  f\n");
    }

    #[test]
    fn what_is_not_set_is_a_dash() {
        assert_eq!(row(&DeploymentInfo::default())[..5], ["-"; 5].map(str::to_owned));
    }
}
