//! Listing the registered revisions of an application (CF-359).

use slipway_model::Timestamp;
use slipway_model::resources::{Application, RegisteredRevision};
use slipway_model::revision::Revision;
use slipway_store::{Document, Kind, RevisionQuery, RevisionTime};
use slipway_wire::codedeploy as wire;
use slipway_wire::{ApiError, ErrorKind};

use super::common::{PAGE, application_name, read_document};
use super::locations::{self, LONGEST_KEY};
use super::revisions::TargetRevisions;
use crate::access::RequestContext;
use crate::error::{self, api};

/// Revisions that one call looks at. A page of a narrow filter may so be short, or empty, and yet have a next one.
const LOOKED_AT: usize = 1000;

/// What is asked for.
struct Request {
    by: Option<RevisionTime>,
    descending: bool,
    bucket: Option<String>,
    prefix: Option<String>,
    deployed: Deployed,
}

/// Whether being the target revision of a deployment group matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deployed {
    Include,
    Exclude,
    Ignore,
}

pub(super) async fn list(
    context: &RequestContext,
    input: wire::ListApplicationRevisionsInput,
) -> Result<wire::ListApplicationRevisionsOutput, ApiError> {
    let name = application_name(input.application_name.as_deref())?;
    context.permit(context.call("ListApplicationRevisions")).await?;
    let request = read(&input)?;
    let application = context.application(name).await?.value;
    let list = format!(
        "ListApplicationRevisions/{}/{:?}/{}/{:?}/{:?}/{:?}",
        application.id, request.by, request.descending, request.bucket, request.prefix, request.deployed
    );
    let after = context.read_page_token(&list, input.next_token.as_deref())?;
    let targets = match request.deployed {
        Deployed::Ignore => None,
        Deployed::Include | Deployed::Exclude => Some(TargetRevisions::of(context, &application).await?),
    };
    let mut documents = documents(context, &application, &request, after.as_deref()).await?;
    let more_behind = documents.len() > LOOKED_AT;
    documents.truncate(LOOKED_AT);
    let (mut revisions, mut place, mut more) = (Vec::new(), None, more_behind);
    for document in documents {
        let stored = read_document::<RegisteredRevision>(document)?;
        if request.wants(&stored.value, targets.as_ref()) {
            if revisions.len() == PAGE {
                more = true;
                break;
            }
            revisions.push(locations::to_wire(&stored.value.revision));
        }
        place = Some(request.place_of(&stored.value, &stored.key.name));
    }
    Ok(wire::ListApplicationRevisionsOutput {
        revisions: Some(revisions),
        next_token: place.filter(|_| more).map(|place| context.page_token(&list, &place)),
    })
}

fn read(input: &wire::ListApplicationRevisionsInput) -> Result<Request, ApiError> {
    let by = match input.sort_by.as_deref() {
        None => None,
        Some("registerTime") => Some(RevisionTime::Registered),
        Some("firstUsedTime") => Some(RevisionTime::FirstUsed),
        Some("lastUsedTime") => Some(RevisionTime::LastUsed),
        Some(other) => {
            return api(
                ErrorKind::InvalidSortByException,
                format!("sortBy {other:?} is none of registerTime, firstUsedTime, lastUsedTime."),
            );
        }
    };
    let descending = match input.sort_order.as_deref() {
        None | Some("ascending") => false,
        Some("descending") => true,
        Some(other) => {
            return api(
                ErrorKind::InvalidSortOrderException,
                format!("sortOrder {other:?} is neither ascending nor descending."),
            );
        }
    };
    let deployed = match input.deployed.as_deref() {
        None | Some("ignore") => Deployed::Ignore,
        Some("include") => Deployed::Include,
        Some("exclude") => Deployed::Exclude,
        Some(other) => {
            return api(
                ErrorKind::InvalidDeployedStateFilterException,
                format!("deployed {other:?} is none of include, exclude, ignore."),
            );
        }
    };
    if let Some(bucket) = input.s3_bucket.as_deref().filter(|bucket| !is_bucket_name(bucket)) {
        return api(
            ErrorKind::InvalidBucketNameFilterException,
            format!("s3Bucket {bucket:?} is not the name of a bucket."),
        );
    }
    if input.s3_key_prefix.is_some() && input.s3_bucket.is_none() {
        return api(ErrorKind::BucketNameFilterRequiredException, "s3KeyPrefix needs s3Bucket.");
    }
    if input.s3_key_prefix.as_deref().is_some_and(|prefix| prefix.is_empty() || prefix.len() > LONGEST_KEY) {
        return api(
            ErrorKind::InvalidKeyPrefixFilterException,
            format!("s3KeyPrefix must have 1 to {LONGEST_KEY} bytes."),
        );
    }
    Ok(Request {
        by,
        descending,
        bucket: input.s3_bucket.clone(),
        prefix: input.s3_key_prefix.clone(),
        deployed,
    })
}

/// 3 to 255 characters: also buckets of the time before names had to be DNS labels can be asked for.
fn is_bucket_name(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

async fn documents(
    context: &RequestContext,
    application: &Application,
    request: &Request,
    after: Option<&str>,
) -> Result<Vec<Document>, ApiError> {
    let limit = u32::try_from(LOOKED_AT + 1).unwrap_or(u32::MAX);
    let store = &context.control.store;
    let Some(by) = request.by else {
        return store
            .documents(&context.partition(), Kind::Revision, &application.id, after, limit)
            .await
            .map_err(error::read);
    };
    let query = RevisionQuery {
        partition: context.partition(),
        application_id: application.id.clone(),
        by,
        descending: request.descending,
        after: after.and_then(|place| {
            let (at, name) = place.split_once('/')?;
            Some((Timestamp(at.parse().ok()?), name.to_owned()))
        }),
        limit,
    };
    store.revisions(&query).await.map_err(error::read)
}

impl Request {
    fn wants(&self, stored: &RegisteredRevision, targets: Option<&TargetRevisions>) -> bool {
        let by_place = match (&self.bucket, &stored.revision) {
            (None, _) => true,
            (Some(wanted), Revision::S3 { bucket, key, .. }) => {
                wanted == bucket && self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
            }
            // There is no filter for the others, so none of them is meant.
            (Some(_), _) => false,
        };
        let is_target = targets.is_some_and(|targets| !targets.groups_of(&stored.revision).is_empty());
        by_place
            && match self.deployed {
                Deployed::Ignore => true,
                Deployed::Include => is_target,
                Deployed::Exclude => !is_target,
            }
    }

    /// What a page token remembers of the last revision that was looked at.
    fn place_of(&self, stored: &RegisteredRevision, name: &str) -> String {
        let at = match self.by {
            None => return name.to_owned(),
            Some(RevisionTime::Registered) => Some(stored.registered),
            Some(RevisionTime::FirstUsed) => stored.first_used,
            Some(RevisionTime::LastUsed) => stored.last_used,
        };
        format!("{}/{name}", at.map_or(0, |at| at.0))
    }
}
