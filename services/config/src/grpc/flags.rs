//! `FlagService`.

use assay_core::flag::Flag;
use assay_proto::{
    config::v1::{self as pb, flag_service_server::FlagService},
    convert::value_from,
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
    flag::set_default,
    get::get,
    list::{PageRequest, list},
    truth::Truth,
    update::update,
};

/// What an update can change.
const FIELDS: &[&str] = &[
    "name",
    "description",
    "variations",
    "default_value",
    "segment_overrides",
    "unit_overrides",
    "target_path",
];

/// The service on the wire.
pub(super) struct Flags {
    pub(super) truth: Truth,
}

#[tonic::async_trait]
impl FlagService for Flags {
    async fn create_flag(
        &self,
        request: Request<pb::CreateFlagRequest>,
    ) -> Result<Response<pb::CreateFlagResponse>, Status> {
        let (caller, request) = open(request);
        let flag = required(request.flag, "flag")?;
        let call = caller.to(&flag.namespace)?;
        let flag = create(&self.truth, &call, new(flag)?).await?;
        Ok(Response::new(pb::CreateFlagResponse {
            flag: Some((&flag).into()),
        }))
    }

    async fn get_flag(
        &self,
        request: Request<pb::GetFlagRequest>,
    ) -> Result<Response<pb::GetFlagResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let key = key(&request.key).map_err(Error::from)?;
        let flag: Flag = get(&self.truth, &call, &key).await?;
        Ok(Response::new(pb::GetFlagResponse {
            flag: Some((&flag).into()),
        }))
    }

    async fn list_flags(
        &self,
        request: Request<pb::ListFlagsRequest>,
    ) -> Result<Response<pb::ListFlagsResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let page = PageRequest {
            size: request.page_size,
            token: request.page_token,
        };
        let (flags, next_page_token) = list::<Flag>(&self.truth, &call, &Filter::default(), &page).await?;
        let flags = flags.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListFlagsResponse {
            flags,
            next_page_token,
        }))
    }

    async fn update_flag(
        &self,
        request: Request<pb::UpdateFlagRequest>,
    ) -> Result<Response<pb::UpdateFlagResponse>, Status> {
        let (caller, request) = open(request);
        let asked = required(request.flag, "flag")?;
        let call = caller.to(&asked.namespace)?;
        let (key, version) = versioned(&asked.key, asked.version)?;
        let mask = Mask::read(request.update_mask, FIELDS)?;
        let edit = |current: &Flag| edited(current, asked.clone(), &mask).map_err(Error::from);
        let (flag, _) = update(&self.truth, &call, &key, version, edit).await?;
        Ok(Response::new(pb::UpdateFlagResponse {
            flag: Some((&flag).into()),
        }))
    }

    async fn delete_flag(
        &self,
        request: Request<pb::DeleteFlagRequest>,
    ) -> Result<Response<pb::DeleteFlagResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let (key, version) = versioned(&request.key, request.version)?;
        delete::<Flag>(&self.truth, &call, &key, version).await?;
        Ok(Response::new(pb::DeleteFlagResponse {}))
    }
}

/// `flag` without what is output only.
pub(super) fn definition(flag: pb::Flag) -> pb::Flag {
    pb::Flag {
        held_defaults: Vec::new(),
        version: 0,
        generation: 0,
        created_at: None,
        updated_at: None,
        ..flag
    }
}

/// The new resource that was `asked` for; what is output only is passed over.
pub(super) fn new(asked: pb::Flag) -> Result<Flag, Error> {
    Ok(definition(asked).try_into()?)
}

/// `current` with the fields of `asked` that `mask` has.
pub(super) fn edited(current: &Flag, asked: pb::Flag, mask: &Mask) -> Result<Flag, FieldErrors> {
    let mut flag = pb::Flag::from(current);
    let default = if mask.has("variations") {
        None
    } else {
        asked.default_value.clone()
    };
    if asked.r#type != 0 {
        flag.r#type = asked.r#type;
    }
    if mask.has("variations") {
        // Without a default value the first variation says it, and the other way round.
        flag.variations = asked.variations;
        flag.default_value = if mask.has("default_value") {
            asked.default_value
        } else {
            None
        };
    }
    take!(mask, asked => flag: name, description, segment_overrides, unit_overrides, target_path);
    flag.source = asked.source;
    let mut flag = Flag::try_from(flag)?;
    if mask.has("default_value") && !mask.has("variations") {
        set_default(&mut flag, value_from(default, "default_value")?);
    }
    Ok(flag)
}
