//! `LayerService`.

use assay_core::layer::Layer;
use assay_proto::{
    config::v1::{self as pb, layer_service_server::LayerService},
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
const FIELDS: &[&str] = &["name", "description", "unit_kind", "salt", "cooldown"];

/// The service on the wire.
pub(super) struct Layers {
    pub(super) truth: Truth,
}

#[tonic::async_trait]
impl LayerService for Layers {
    async fn create_layer(
        &self,
        request: Request<pb::CreateLayerRequest>,
    ) -> Result<Response<pb::CreateLayerResponse>, Status> {
        let (caller, request) = open(request);
        let layer = required(request.layer, "layer")?;
        let call = caller.to(&layer.namespace)?;
        let layer = create(&self.truth, &call, new(layer)?).await?;
        Ok(Response::new(pb::CreateLayerResponse {
            layer: Some((&layer).into()),
        }))
    }

    async fn get_layer(
        &self,
        request: Request<pb::GetLayerRequest>,
    ) -> Result<Response<pb::GetLayerResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let key = key(&request.key).map_err(Error::from)?;
        let layer: Layer = get(&self.truth, &call, &key).await?;
        Ok(Response::new(pb::GetLayerResponse {
            layer: Some((&layer).into()),
        }))
    }

    async fn list_layers(
        &self,
        request: Request<pb::ListLayersRequest>,
    ) -> Result<Response<pb::ListLayersResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let page = PageRequest {
            size: request.page_size,
            token: request.page_token,
        };
        let (layers, next_page_token) = list::<Layer>(&self.truth, &call, &Filter::default(), &page).await?;
        let layers = layers.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListLayersResponse {
            layers,
            next_page_token,
        }))
    }

    async fn update_layer(
        &self,
        request: Request<pb::UpdateLayerRequest>,
    ) -> Result<Response<pb::UpdateLayerResponse>, Status> {
        let (caller, request) = open(request);
        let asked = required(request.layer, "layer")?;
        let call = caller.to(&asked.namespace)?;
        let (key, version) = versioned(&asked.key, asked.version)?;
        let mask = Mask::read(request.update_mask, FIELDS)?;
        let edit = |current: &Layer| edited(current, asked.clone(), &mask).map_err(Error::from);
        let (layer, _) = update(&self.truth, &call, &key, version, edit).await?;
        Ok(Response::new(pb::UpdateLayerResponse {
            layer: Some((&layer).into()),
        }))
    }

    async fn delete_layer(
        &self,
        request: Request<pb::DeleteLayerRequest>,
    ) -> Result<Response<pb::DeleteLayerResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let (key, version) = versioned(&request.key, request.version)?;
        delete::<Layer>(&self.truth, &call, &key, version).await?;
        Ok(Response::new(pb::DeleteLayerResponse {}))
    }
}

/// `layer` without what is output only.
pub(super) fn definition(layer: pb::Layer) -> pb::Layer {
    pb::Layer {
        allocations: Vec::new(),
        version: 0,
        generation: 0,
        created_at: None,
        updated_at: None,
        ..layer
    }
}

/// The new resource that was `asked` for; what is output only is passed over.
pub(super) fn new(asked: pb::Layer) -> Result<Layer, Error> {
    let mut asked = definition(asked);
    if asked.salt.is_empty() {
        asked.salt = new_salt();
    }
    Ok(asked.try_into()?)
}

/// `current` with the fields of `asked` that `mask` has; a salt that is left out stays.
pub(super) fn edited(current: &Layer, mut asked: pb::Layer, mask: &Mask) -> Result<Layer, FieldErrors> {
    let mut layer = pb::Layer::from(current);
    if asked.salt.is_empty() {
        asked.salt.clone_from(&layer.salt);
    }
    take!(mask, asked => layer: name, description, unit_kind, salt, cooldown);
    layer.try_into()
}
