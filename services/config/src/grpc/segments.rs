//! `SegmentService`.

use assay_core::segment::Segment;
use assay_proto::{
    config::v1::{self as pb, segment_service_server::SegmentService},
    convert::{attributes, finding, tested_condition},
    field::FieldErrors,
};
use assay_storage::config_store::Filter;
use tonic::{Request, Response, Status};

use super::{
    mask::{Mask, take},
    request::{key, open, required, versioned},
};
use crate::{
    create::create,
    delete::delete,
    error::Error,
    get::get,
    list::{PageRequest, list},
    segment::test_segment::{Subject, test_segment, version_of},
    truth::{Call, Truth},
    update::update,
};

/// What an update can change.
const FIELDS: &[&str] = &["name", "description", "rules"];

/// The service on the wire.
pub(super) struct Segments {
    pub(super) truth: Truth,
}

#[tonic::async_trait]
impl SegmentService for Segments {
    async fn create_segment(
        &self,
        request: Request<pb::CreateSegmentRequest>,
    ) -> Result<Response<pb::CreateSegmentResponse>, Status> {
        let (caller, request) = open(request);
        let segment = required(request.segment, "segment")?;
        let call = caller.to(&segment.namespace)?;
        let segment = create(&self.truth, &call, new(segment)?).await?;
        Ok(Response::new(pb::CreateSegmentResponse {
            segment: Some((&segment).into()),
        }))
    }

    async fn get_segment(
        &self,
        request: Request<pb::GetSegmentRequest>,
    ) -> Result<Response<pb::GetSegmentResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let key = key(&request.key).map_err(Error::from)?;
        let segment: Segment = match request.version {
            0 => get(&self.truth, &call, &key).await?,
            version => version_of(&self.truth, &call, &key, version).await?,
        };
        Ok(Response::new(pb::GetSegmentResponse {
            segment: Some((&segment).into()),
        }))
    }

    async fn list_segments(
        &self,
        request: Request<pb::ListSegmentsRequest>,
    ) -> Result<Response<pb::ListSegmentsResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let page = PageRequest {
            size: request.page_size,
            token: request.page_token,
        };
        let (segments, next_page_token) =
            list::<Segment>(&self.truth, &call, &Filter::default(), &page).await?;
        let segments = segments.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListSegmentsResponse {
            segments,
            next_page_token,
        }))
    }

    async fn update_segment(
        &self,
        request: Request<pb::UpdateSegmentRequest>,
    ) -> Result<Response<pb::UpdateSegmentResponse>, Status> {
        let (caller, request) = open(request);
        let asked = required(request.segment, "segment")?;
        let call = caller.to(&asked.namespace)?;
        let (key, version) = versioned(&asked.key, asked.version)?;
        let mask = Mask::read(request.update_mask, FIELDS)?;
        let edit = |current: &Segment| edited(current, asked.clone(), &mask).map_err(Error::from);
        let (segment, warnings) = update(&self.truth, &call, &key, version, edit).await?;
        Ok(Response::new(pb::UpdateSegmentResponse {
            segment: Some((&segment).into()),
            warnings: warnings.iter().map(finding).collect(),
        }))
    }

    async fn delete_segment(
        &self,
        request: Request<pb::DeleteSegmentRequest>,
    ) -> Result<Response<pb::DeleteSegmentResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let (key, version) = versioned(&request.key, request.version)?;
        delete::<Segment>(&self.truth, &call, &key, version).await?;
        Ok(Response::new(pb::DeleteSegmentResponse {}))
    }

    async fn test_segment(
        &self,
        request: Request<pb::TestSegmentRequest>,
    ) -> Result<Response<pb::TestSegmentResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let mut errors = FieldErrors::default();
        let subject = errors.keep(subject(request.subject, request.version, &call));
        let attributes = errors.keep(attributes(request.attributes, "attributes"));
        let asked = errors.finish(subject.zip(attributes)).map_err(Error::from)?;
        let (version, explanation) = test_segment(&self.truth, &call, asked.0, &asked.1).await?;
        Ok(Response::new(pb::TestSegmentResponse {
            matches: explanation.matches,
            conditions: explanation.steps.iter().map(tested_condition).collect(),
            version,
        }))
    }
}

/// What is to be tested.
fn subject(
    asked: Option<pb::test_segment_request::Subject>,
    version: u64,
    call: &Call,
) -> Result<Subject, FieldErrors> {
    use pb::test_segment_request::Subject as Asked;
    match asked {
        Some(Asked::Key(text)) => key(&text).map(|key| Subject::Stored { key, version }),
        Some(Asked::Segment(mut segment)) => {
            if segment.key.is_empty() {
                segment.key = "unnamed".to_owned();
            }
            segment.namespace = call.namespace.to_string();
            segment.version = 0;
            segment.try_into().map(Subject::Given)
        }
        None => Err(FieldErrors::one(
            "key",
            "REQUIRED",
            "is missing; give the key of a segment, or a segment",
        )),
    }
}

/// `segment` without what is output only.
pub(super) fn definition(segment: pb::Segment) -> pb::Segment {
    pb::Segment {
        version: 0,
        generation: 0,
        created_at: None,
        updated_at: None,
        ..segment
    }
}

/// The new resource that was `asked` for; what is output only is passed over.
pub(super) fn new(asked: pb::Segment) -> Result<Segment, Error> {
    Ok(definition(asked).try_into()?)
}

/// `current` with the fields of `asked` that `mask` has.
pub(super) fn edited(current: &Segment, asked: pb::Segment, mask: &Mask) -> Result<Segment, FieldErrors> {
    let mut segment = pb::Segment::from(current);
    take!(mask, asked => segment: name, description, rules);
    segment.try_into()
}
