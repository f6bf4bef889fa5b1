//! `SegmentService`.

use assay_core::segment::Segment;
use assay_proto::{
    config::v1::{self as pb, segment_service_server::SegmentService},
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
    truth::Truth,
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
        let segment: Segment = get(&self.truth, &call, &key).await?;
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
        let edit = |current: &Segment| edited(current, asked, &mask).map_err(Error::from);
        let segment = update(&self.truth, &call, &key, version, edit).await?;
        Ok(Response::new(pb::UpdateSegmentResponse {
            segment: Some((&segment).into()),
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
}

/// The new resource that was `asked` for; what is output only is passed over.
fn new(asked: pb::Segment) -> Result<Segment, Error> {
    let asked = pb::Segment {
        version: 0,
        generation: 0,
        created_at: None,
        updated_at: None,
        ..asked
    };
    Ok(asked.try_into()?)
}

/// `current` with the fields of `asked` that `mask` has.
fn edited(current: &Segment, asked: pb::Segment, mask: &Mask) -> Result<Segment, FieldErrors> {
    let mut segment = pb::Segment::from(current);
    take!(mask, asked => segment: name, description, rules);
    segment.try_into()
}
