//! `MetricService`.

use assay_core::metric::Metric;
use assay_proto::{
    config::v1::{self as pb, metric_service_server::MetricService},
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
const FIELDS: &[&str] = &[
    "name",
    "description",
    "conversion",
    "retention",
    "scalar",
    "ratio",
    "quantile",
    "direction",
    "unit",
    "cap",
    "source",
];

/// The service on the wire.
pub(super) struct Metrics {
    pub(super) truth: Truth,
}

#[tonic::async_trait]
impl MetricService for Metrics {
    async fn create_metric(
        &self,
        request: Request<pb::CreateMetricRequest>,
    ) -> Result<Response<pb::CreateMetricResponse>, Status> {
        let (caller, request) = open(request);
        let metric = required(request.metric, "metric")?;
        let call = caller.to(&metric.namespace)?;
        let metric = create(&self.truth, &call, new(metric)?).await?;
        Ok(Response::new(pb::CreateMetricResponse {
            metric: Some((&metric).into()),
        }))
    }

    async fn get_metric(
        &self,
        request: Request<pb::GetMetricRequest>,
    ) -> Result<Response<pb::GetMetricResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let key = key(&request.key).map_err(Error::from)?;
        let metric: Metric = get(&self.truth, &call, &key).await?;
        Ok(Response::new(pb::GetMetricResponse {
            metric: Some((&metric).into()),
        }))
    }

    async fn list_metrics(
        &self,
        request: Request<pb::ListMetricsRequest>,
    ) -> Result<Response<pb::ListMetricsResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let page = PageRequest {
            size: request.page_size,
            token: request.page_token,
        };
        let (metrics, next_page_token) =
            list::<Metric>(&self.truth, &call, &Filter::default(), &page).await?;
        let metrics = metrics.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListMetricsResponse {
            metrics,
            next_page_token,
        }))
    }

    async fn update_metric(
        &self,
        request: Request<pb::UpdateMetricRequest>,
    ) -> Result<Response<pb::UpdateMetricResponse>, Status> {
        let (caller, request) = open(request);
        let asked = required(request.metric, "metric")?;
        let call = caller.to(&asked.namespace)?;
        let (key, version) = versioned(&asked.key, asked.version)?;
        let mask = Mask::read(request.update_mask, FIELDS)?;
        let edit = |current: &Metric| edited(current, asked.clone(), &mask).map_err(Error::from);
        let (metric, _) = update(&self.truth, &call, &key, version, edit).await?;
        Ok(Response::new(pb::UpdateMetricResponse {
            metric: Some((&metric).into()),
        }))
    }

    async fn delete_metric(
        &self,
        request: Request<pb::DeleteMetricRequest>,
    ) -> Result<Response<pb::DeleteMetricResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let (key, version) = versioned(&request.key, request.version)?;
        delete::<Metric>(&self.truth, &call, &key, version).await?;
        Ok(Response::new(pb::DeleteMetricResponse {}))
    }
}

/// `metric` without what is output only.
pub(super) fn definition(metric: pb::Metric) -> pb::Metric {
    pb::Metric {
        version: 0,
        generation: 0,
        created_at: None,
        updated_at: None,
        ..metric
    }
}

/// The new resource that was `asked` for; what is output only is passed over.
pub(super) fn new(asked: pb::Metric) -> Result<Metric, Error> {
    Ok(definition(asked).try_into()?)
}

/// `current` with the fields of `asked` that `mask` has.
pub(super) fn edited(current: &Metric, asked: pb::Metric, mask: &Mask) -> Result<Metric, FieldErrors> {
    let mut metric = pb::Metric::from(current);
    if ["conversion", "retention", "scalar", "ratio", "quantile"]
        .iter()
        .any(|kind| mask.has(kind))
    {
        metric.kind = asked.kind;
    }
    take!(mask, asked => metric: name, description, direction, unit, cap, source);
    metric.try_into()
}
