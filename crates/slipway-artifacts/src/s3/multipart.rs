//! Multipart uploads. A part is a blob of its own; completing an upload lists its parts as one object.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::convert::{
    claims, encoded, etag, limit, owner, put_sums, take_meta, take_sums, timestamp, write_condition,
};
use super::listing::common_prefixes;
use super::objects::{ReadCondition, as_body};
use super::{Backend, Target};
use crate::checksum::{Algorithm, Cover};
use crate::index::listing::{self, Query};
use crate::index::rows::{PartRow, UploadRow, UploadSpec};
use crate::index::uploads::{self, Completion, ListedPart};
use crate::ingest::{self, Claims, Received};

const MOST_PARTS: i32 = 10_000;
const LARGEST_PART: i64 = 5 * 1024 * 1024 * 1024;

impl Backend {
    pub(super) async fn do_create_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let (caller, _) = self.allow(&request, "s3:PutObject", target).await?;
        let algorithm =
            input.checksum_algorithm.as_ref().map(|a| Algorithm::parse(a.as_str())).transpose()?;
        let asked = input.checksum_type.as_ref().map(ChecksumType::as_str);
        let cover = algorithm.map(|a| Cover::choose(a, asked)).transpose()?;
        let upload = UploadRow {
            id: uuid::Uuid::new_v4().simple().to_string(),
            key: input.key.clone(),
            initiator: caller.principal_arn,
            created: self.now(),
            spec: UploadSpec { meta: take_meta!(request.input), algorithm, cover },
        };
        let (bucket, id) = (request.input.bucket.clone(), upload.id.clone());
        self.index.write(move |txn| uploads::create(txn, &bucket, &upload)).await?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(request.input.bucket),
            key: Some(request.input.key),
            upload_id: Some(id),
            checksum_algorithm: algorithm.map(|a| ChecksumAlgorithm::from_static(a.name())),
            checksum_type: cover.map(|c| ChecksumType::from_static(c.name())),
            ..CreateMultipartUploadOutput::default()
        })
    }

    pub(super) async fn do_upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        self.allow(&request, "s3:PutObject", target).await?;
        let number = part_number(input.part_number)?;
        if input.content_length.is_some_and(|n| n > LARGEST_PART) {
            return Err(s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
        }
        let upload = self.find_upload(&input.bucket, &input.key, &input.upload_id).await?;
        let (length, md5) = (request.input.content_length, request.input.content_md5.take());
        let sums = take_sums!(request.input);
        let mut claims = claims(&request, length, md5, sums)?;
        claims.wanted = upload.spec.algorithm;
        let body = request.input.body.take().unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
        let received = ingest::receive(self.index.blobs(), body, claims).await?;
        let input = request.input;
        let part = self.keep_part(input.bucket, input.key, input.upload_id, number, received).await?;
        let mut output = UploadPartOutput { e_tag: Some(etag(&part.etag)), ..UploadPartOutput::default() };
        put_sums!(output, &part.sums);
        Ok(output)
    }

    pub(super) async fn do_upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<UploadPartCopyOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        self.allow(&request, "s3:PutObject", target).await?;
        let number = part_number(input.part_number)?;
        let upload = self.find_upload(&input.bucket, &input.key, &input.upload_id).await?;
        let condition = ReadCondition {
            matches: input.copy_source_if_match.clone(),
            none_match: input.copy_source_if_none_match.clone(),
            modified_since: input.copy_source_if_modified_since.clone(),
            unmodified_since: input.copy_source_if_unmodified_since.clone(),
        };
        let expected_owner = input.expected_source_bucket_owner.as_ref();
        let source = self.open_source(&request, &input.copy_source, expected_owner, &condition).await?;
        let size = source.opened.row.size;
        let range = match input.copy_source_range.as_deref() {
            None => 0..size,
            Some(text) => {
                let range = Range::parse(text)
                    .map_err(|e| s3_error!(e, InvalidArgument, "The x-amz-copy-source-range is invalid"))?;
                range.check(size)?
            }
        };
        let claims = Claims {
            length: Some(range.end - range.start),
            wanted: upload.spec.algorithm,
            ..Claims::default()
        };
        let body = as_body(source.opened.stream(range));
        let received = ingest::receive(self.index.blobs(), body, claims).await?;
        let input = request.input;
        let part = self.keep_part(input.bucket, input.key, input.upload_id, number, received).await?;
        let mut result = CopyPartResult {
            e_tag: Some(etag(&part.etag)),
            last_modified: Some(timestamp(part.modified)),
            ..CopyPartResult::default()
        };
        put_sums!(result, &part.sums);
        Ok(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: source.version_id,
            ..UploadPartCopyOutput::default()
        })
    }

    pub(super) async fn do_complete_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        self.allow(&request, "s3:PutObject", target).await?;
        let sums = take_sums!(request.input);
        let input = request.input;
        let listed = input.multipart_upload.and_then(|m| m.parts).unwrap_or_default();
        let size = input.mpu_object_size.map(u64::try_from).transpose();
        let completion = Completion {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            upload: input.upload_id,
            parts: listed.into_iter().map(listed_part).collect::<S3Result<_>>()?,
            sums,
            size: size.map_err(|_| s3_error!(InvalidArgument, "The object size is negative"))?,
            condition: write_condition(input.if_match.as_ref(), input.if_none_match.as_ref()),
            now: self.now(),
        };
        let done = self.index.write(move |txn| uploads::complete(txn, &completion)).await?;
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&done.etag)),
            version_id: done.outcome.version,
            ..CompleteMultipartUploadOutput::default()
        };
        put_sums!(output, &done.sums);
        output.checksum_type = done.sums.cover_dto();
        Ok(output)
    }

    pub(super) async fn do_abort_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let input = &request.input;
        if input.if_match_initiated_time.is_some() {
            return Err(s3_error!(NotImplemented, "Conditional aborts are not implemented."));
        }
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        self.allow(&request, "s3:AbortMultipartUpload", target).await?;
        let input = request.input;
        self.index
            .write(move |txn| {
                uploads::get(&txn.sql, &input.bucket, &input.key, &input.upload_id)?;
                uploads::remove(txn, &input.upload_id)
            })
            .await?;
        Ok(AbortMultipartUploadOutput::default())
    }

    pub(super) async fn do_list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<ListPartsOutput> {
        let input = &request.input;
        let target = Target::object(&input.bucket, &input.key, input.expected_bucket_owner.as_ref());
        let (_, bucket) = self.allow(&request, "s3:ListMultipartUploadParts", target).await?;
        let upload = self.find_upload(&input.bucket, &input.key, &input.upload_id).await?;
        let input = request.input;
        let most = limit(input.max_parts)?;
        let after = u32::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(0);
        let id = upload.id.clone();
        let mut rows = self.index.read(move |sql| uploads::parts(sql, &id, after, most + 1)).await?;
        let truncated = rows.len() > most && most > 0;
        rows.truncate(most);
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            checksum_algorithm: upload.spec.algorithm.map(|a| ChecksumAlgorithm::from_static(a.name())),
            checksum_type: upload.spec.cover.map(|c| ChecksumType::from_static(c.name())),
            initiator: Some(Initiator { display_name: None, id: Some(upload.initiator) }),
            is_truncated: Some(truncated),
            key: Some(input.key),
            max_parts: Some(most as i32),
            next_part_number_marker: rows.last().map(|p| p.number as i32),
            owner: Some(owner(&bucket.account)),
            part_number_marker: Some(after as i32),
            parts: Some(rows.iter().map(part_dto).collect()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            upload_id: Some(upload.id),
            ..ListPartsOutput::default()
        })
    }

    pub(super) async fn do_list_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let input = &request.input;
        let target = Target::bucket(&input.bucket, input.expected_bucket_owner.as_ref());
        let (_, bucket) = self.allow(&request, "s3:ListBucketMultipartUploads", target).await?;
        let input = request.input;
        let encoding = input.encoding_type;
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|d| !d.is_empty()),
            after: input.key_marker.clone().filter(|m| !m.is_empty()),
            after_id: input.upload_id_marker.clone().filter(|m| !m.is_empty()),
            limit: limit(input.max_uploads)?,
        };
        let max_uploads = query.limit as i32;
        let page = self.index.read(move |sql| listing::uploads(sql, &query)).await?;
        let truncated = page.truncated;
        let next_key = page.last_name().filter(|_| truncated).map(|name| encoded(name, encoding.as_ref()));
        let next_upload = match page.entries.last() {
            Some(listing::Entry::Row(row)) if truncated => Some(row.id.clone()),
            _ => None,
        };
        let (rows, prefixes) = page.split();
        let upload = |row: UploadRow| MultipartUpload {
            checksum_algorithm: row.spec.algorithm.map(|a| ChecksumAlgorithm::from_static(a.name())),
            checksum_type: row.spec.cover.map(|c| ChecksumType::from_static(c.name())),
            initiated: Some(timestamp(row.created)),
            initiator: Some(Initiator { display_name: None, id: Some(row.initiator) }),
            key: Some(encoded(&row.key, encoding.as_ref())),
            owner: Some(owner(&bucket.account)),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            upload_id: Some(row.id),
        };
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            common_prefixes: Some(common_prefixes(prefixes, encoding.as_ref())),
            delimiter: input.delimiter.map(|d| encoded(&d, encoding.as_ref())),
            is_truncated: Some(truncated),
            key_marker: Some(encoded(&input.key_marker.unwrap_or_default(), encoding.as_ref())),
            max_uploads: Some(max_uploads),
            next_key_marker: next_key,
            next_upload_id_marker: next_upload,
            prefix: Some(encoded(&input.prefix.unwrap_or_default(), encoding.as_ref())),
            request_charged: None,
            upload_id_marker: input.upload_id_marker,
            uploads: Some(rows.into_iter().map(upload).collect()),
            encoding_type: encoding,
        })
    }

    async fn find_upload(&self, bucket: &str, key: &str, upload: &str) -> S3Result<UploadRow> {
        let (bucket, key, upload) = (bucket.to_owned(), key.to_owned(), upload.to_owned());
        Ok(self.index.read(move |sql| uploads::get(sql, &bucket, &key, &upload)).await?)
    }

    async fn keep_part(
        &self,
        bucket: String,
        key: String,
        upload: String,
        number: u32,
        received: Received,
    ) -> S3Result<PartRow> {
        let part = PartRow {
            number,
            blob: received.staged.id.0,
            size: received.size,
            etag: hex::encode(received.md5),
            modified: self.now(),
            sums: received.sums,
        };
        let row = part.clone();
        let staged = received.staged;
        self.index
            .write_staged(Some(staged), move |txn| uploads::put_part(txn, &bucket, &key, &upload, &row))
            .await?;
        Ok(part)
    }
}

fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number).ok().filter(|_| (1..=MOST_PARTS).contains(&number)).ok_or_else(|| {
        s3_error!(InvalidArgument, "Part number must be an integer between 1 and {MOST_PARTS}, inclusive")
    })
}

fn listed_part(mut part: CompletedPart) -> S3Result<ListedPart> {
    let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML, "A part has no number"))?;
    Ok(ListedPart {
        number: part_number(number)?,
        sums: take_sums!(part),
        etag: part.e_tag.map(ETag::into_value),
    })
}

fn part_dto(row: &PartRow) -> Part {
    let mut part = Part {
        e_tag: Some(etag(&row.etag)),
        last_modified: Some(timestamp(row.modified)),
        part_number: Some(row.number as i32),
        size: Some(row.size as i64),
        ..Part::default()
    };
    put_sums!(part, &row.sums);
    part
}
