//! `HoldoutService`.

use assay_core::holdout::Holdout;
use assay_proto::{
    config::v1::{self as pb, holdout_service_server::HoldoutService},
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
    experiment::new_salt,
    get::get,
    list::{PageRequest, list},
    truth::Truth,
    update::update,
};

/// What an update can change.
const FIELDS: &[&str] = &["name", "description", "unit_kind", "share", "salt", "layer_keys"];

/// The service on the wire.
pub(super) struct Holdouts {
    pub(super) truth: Truth,
}

#[tonic::async_trait]
impl HoldoutService for Holdouts {
    async fn create_holdout(
        &self,
        request: Request<pb::CreateHoldoutRequest>,
    ) -> Result<Response<pb::CreateHoldoutResponse>, Status> {
        let (caller, request) = open(request);
        let holdout = required(request.holdout, "holdout")?;
        let call = caller.to(&holdout.namespace)?;
        let holdout = create(&self.truth, &call, new(holdout)?).await?;
        Ok(Response::new(pb::CreateHoldoutResponse {
            holdout: Some((&holdout).into()),
        }))
    }

    async fn get_holdout(
        &self,
        request: Request<pb::GetHoldoutRequest>,
    ) -> Result<Response<pb::GetHoldoutResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let key = key(&request.key).map_err(Error::from)?;
        let holdout: Holdout = get(&self.truth, &call, &key).await?;
        Ok(Response::new(pb::GetHoldoutResponse {
            holdout: Some((&holdout).into()),
        }))
    }

    async fn list_holdouts(
        &self,
        request: Request<pb::ListHoldoutsRequest>,
    ) -> Result<Response<pb::ListHoldoutsResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let page = PageRequest {
            size: request.page_size,
            token: request.page_token,
        };
        let (holdouts, next_page_token) =
            list::<Holdout>(&self.truth, &call, &Filter::default(), &page).await?;
        let holdouts = holdouts.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListHoldoutsResponse {
            holdouts,
            next_page_token,
        }))
    }

    async fn update_holdout(
        &self,
        request: Request<pb::UpdateHoldoutRequest>,
    ) -> Result<Response<pb::UpdateHoldoutResponse>, Status> {
        let (caller, request) = open(request);
        let asked = required(request.holdout, "holdout")?;
        let call = caller.to(&asked.namespace)?;
        let (key, version) = versioned(&asked.key, asked.version)?;
        let mask = Mask::read(request.update_mask, FIELDS)?;
        let edit = |current: &Holdout| edited(current, asked.clone(), &mask).map_err(Error::from);
        let (holdout, _) = update(&self.truth, &call, &key, version, edit).await?;
        Ok(Response::new(pb::UpdateHoldoutResponse {
            holdout: Some((&holdout).into()),
        }))
    }

    async fn delete_holdout(
        &self,
        request: Request<pb::DeleteHoldoutRequest>,
    ) -> Result<Response<pb::DeleteHoldoutResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let (key, version) = versioned(&request.key, request.version)?;
        delete::<Holdout>(&self.truth, &call, &key, version).await?;
        Ok(Response::new(pb::DeleteHoldoutResponse {}))
    }
}

/// `holdout` without what is output only.
pub(super) fn definition(holdout: pb::Holdout) -> pb::Holdout {
    pb::Holdout {
        version: 0,
        generation: 0,
        created_at: None,
        updated_at: None,
        ..holdout
    }
}

/// The new resource that was `asked` for; what is output only is passed over.
pub(super) fn new(asked: pb::Holdout) -> Result<Holdout, Error> {
    let mut asked = definition(asked);
    if asked.salt.is_empty() {
        asked.salt = new_salt();
    }
    Ok(asked.try_into()?)
}

/// `current` with the fields of `asked` that `mask` has; a salt that is left out stays.
pub(super) fn edited(current: &Holdout, mut asked: pb::Holdout, mask: &Mask) -> Result<Holdout, FieldErrors> {
    let mut holdout = pb::Holdout::from(current);
    if asked.salt.is_empty() {
        asked.salt.clone_from(&holdout.salt);
    }
    take!(mask, asked => holdout: name, description, unit_kind, share, salt, layer_keys);
    holdout.try_into()
}
