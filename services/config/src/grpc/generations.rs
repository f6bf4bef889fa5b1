//! `GenerationService`.

use assay_core::{assign::explain_with, memory::Memory};
use assay_proto::{
    assignment::v1 as assignment,
    config::v1::{self as pb, generation_service_server::GenerationService},
    convert::{attributes, explained, finding, optional_unit_from, timestamp},
    diff::differing_fields,
    field::FieldErrors,
};
use assay_storage::config_store::{Generation, Published, Resource};
use tonic::{Request, Response, Status};

use super::{
    contents::{definitions, items},
    request::{open, required},
};
use crate::{
    error::Error,
    generation::{
        Pair,
        diff::diff,
        explain::compiled,
        export::export,
        import,
        list::list,
        required as named,
        rollback::{Order, rollback},
    },
    list::PageRequest,
    truth::Truth,
};

/// The service on the wire.
pub(super) struct Generations {
    pub(super) truth: Truth,
}

#[tonic::async_trait]
impl GenerationService for Generations {
    async fn list_generations(
        &self,
        request: Request<pb::ListGenerationsRequest>,
    ) -> Result<Response<pb::ListGenerationsResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let page = PageRequest {
            size: request.page_size,
            token: request.page_token,
        };
        let (generations, next_page_token) = list(&self.truth, &call, &page).await?;
        Ok(Response::new(pb::ListGenerationsResponse {
            generations: generations.into_iter().map(made).collect(),
            next_page_token,
        }))
    }

    async fn get_generation(
        &self,
        request: Request<pb::GetGenerationRequest>,
    ) -> Result<Response<pb::GetGenerationResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let generation = named(request.generation, "generation")?;
        let published = self.truth.published_at(&call.namespace, generation).await?;
        Ok(Response::new(whole(&published)))
    }

    async fn diff_generations(
        &self,
        request: Request<pb::DiffGenerationsRequest>,
    ) -> Result<Response<pb::DiffGenerationsResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let from = named(request.from_generation, "from_generation")?;
        let to = named(request.to_generation, "to_generation")?;
        let pairs = diff(&self.truth, &call, from, to).await?;
        Ok(Response::new(pb::DiffGenerationsResponse {
            differences: pairs.iter().filter_map(difference).collect(),
        }))
    }

    async fn explain_generation(
        &self,
        request: Request<assignment::ExplainRequest>,
    ) -> Result<Response<assignment::ExplainResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let generation = named(request.generation, "generation")?;
        let mut errors = FieldErrors::default();
        let unit = errors.keep(optional_unit_from(request.unit, "unit"));
        let attributes = errors.keep(attributes(request.attributes, "attributes"));
        if request.flag_key.is_empty() {
            let message = "is missing; give the key of a flag or of an experiment";
            errors.push("flag_key", "REQUIRED", message);
        }
        let (unit, attributes) = errors.finish(unit.zip(attributes)).map_err(Error::from)?;
        let (snapshot, rejected) = compiled(&self.truth, &call, generation).await?;
        let (key, memory, now) = (&request.flag_key, Memory::default(), self.truth.now());
        let found = explain_with(&snapshot, key, unit.as_ref(), &attributes, &memory, now);
        Ok(Response::new(assignment::ExplainResponse {
            rejected,
            ..explained(key, &found)
        }))
    }

    async fn rollback(
        &self,
        request: Request<pb::RollbackRequest>,
    ) -> Result<Response<pb::RollbackResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let order = Order {
            to: request.generation,
            expected: request.expected_generation,
            reason: request.reason,
            dry_run: request.dry_run,
        };
        let (generation, changed) = rollback(&self.truth, &call, &order).await?;
        Ok(Response::new(pb::RollbackResponse {
            generation,
            differences: changed.iter().filter_map(difference).collect(),
        }))
    }

    async fn export_namespace(
        &self,
        request: Request<pb::ExportNamespaceRequest>,
    ) -> Result<Response<pb::ExportNamespaceResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let (generation, resources) = export(&self.truth, &call).await?;
        Ok(Response::new(pb::ExportNamespaceResponse {
            generation,
            contents: Some(definitions(&resources)),
        }))
    }

    async fn import_namespace(
        &self,
        request: Request<pb::ImportNamespaceRequest>,
    ) -> Result<Response<pb::ImportNamespaceResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let contents = required(request.contents, "contents")?;
        let order = import::Order {
            items: items(contents, &call.namespace)?,
            prune: request.prune,
            dry_run: request.dry_run,
            expected: request.expected_generation,
            reason: request.reason,
        };
        let imported = import::import(&self.truth, &call, order).await?;
        Ok(Response::new(pb::ImportNamespaceResponse {
            generation: imported.generation,
            differences: imported.changes.iter().filter_map(difference).collect(),
            warnings: imported.warnings.iter().map(finding).collect(),
        }))
    }
}

fn made(generation: Generation) -> pb::Generation {
    let Some(change) = generation.change else {
        return pb::Generation {
            generation: generation.number,
            ..Default::default()
        };
    };
    pb::Generation {
        generation: generation.number,
        created_at: Some(timestamp(change.at)),
        actor: change.audit.actor,
        action: change.audit.action,
        subject: change.audit.subject,
        reason: change.audit.reason,
    }
}

fn whole(published: &Published) -> pb::GetGenerationResponse {
    let mut answer = pb::GetGenerationResponse {
        generation: published.generation,
        ..Default::default()
    };
    for resource in &published.resources {
        match resource {
            Resource::Flag(flag) => answer.flags.push(flag.into()),
            Resource::Segment(segment) => answer.segments.push(segment.into()),
            Resource::Holdout(holdout) => answer.holdouts.push(holdout.into()),
            Resource::Experiment(experiment) => answer.experiments.push(experiment.into()),
            // Never published.
            Resource::Metric(_) | Resource::Layer(_) => {}
        }
    }
    let unreadable = published.unreadable.iter();
    answer.unreadable = unreadable
        .map(|broken| format!("{}/{}", broken.kind.name(), broken.key))
        .collect();
    answer
}

/// How a resource differs; nothing when its content is the same.
fn difference((before, after): &Pair) -> Option<pb::ResourceDifference> {
    let some = before.as_ref().or(after.as_ref())?;
    let (kind, fields) = match (before, after) {
        (None, _) => (pb::DifferenceKind::Added, Vec::new()),
        (_, None) => (pb::DifferenceKind::Removed, Vec::new()),
        (Some(before), Some(after)) => (pb::DifferenceKind::Changed, fields(before, after)),
    };
    if kind == pb::DifferenceKind::Changed && fields.is_empty() {
        return None;
    }
    Some(pb::ResourceDifference {
        resource: format!("{}/{}", some.kind().name(), some.key()),
        kind: kind.into(),
        fields,
    })
}

fn fields(before: &Resource, after: &Resource) -> Vec<String> {
    macro_rules! differing {
        ($($kind:ident),+) => {
            match (before, after) {
                $((Resource::$kind(before), Resource::$kind(after)) => differing_fields(
                    concat!("assay.config.v1.", stringify!($kind)),
                    &pb::$kind::from(before),
                    &pb::$kind::from(after),
                ),)+
                _ => Vec::new(),
            }
        };
    }
    differing!(Flag, Segment, Metric, Experiment, Layer, Holdout)
}
