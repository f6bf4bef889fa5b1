//! `ExperimentService`.

pub(super) mod decode;
mod encode;

use std::{sync::Arc, time::Duration};

use assay_core::experiment::Experiment;
use assay_platform::{Role, error::chain};
use assay_proto::config::v1::{self as pb, experiment_service_server::ExperimentService};
use tonic::{Request, Response, Status};

use encode::{counted, findings, with_drift};

use super::{
    activation::{activation, wait_from},
    request::{key, open, required},
};
use crate::{
    error::Error,
    experiment::{
        Order,
        archive::archive,
        cohort::{add_cohort, opened},
        create::create,
        declare_winner::declare_winner,
        delete::delete,
        duplicate::duplicate,
        end::end,
        pause::pause,
        read::{read, read_page, starts},
        resume::resume,
        start::start,
        stop::stop,
        unarchive::unarchive,
        undo::undo,
        unschedule::unschedule,
        update::{Edit, update},
        validate::validate,
    },
    fence::Fences,
    list::PageRequest,
    signal::Signals,
    truth::{Call, Truth},
};

/// The service on the wire.
pub(super) struct Experiments {
    pub(super) truth: Truth,
    pub(super) signals: Signals,
    pub(super) fences: Arc<Fences>,
}

impl Experiments {
    /// What a command has made of the experiment. The command is done: that its fence cannot be read is no failure of it.
    async fn message(&self, experiment: &Experiment) -> Option<pb::Experiment> {
        let mut message = encode::message(experiment, self.truth.now());
        match starts(&self.truth, &experiment.namespace, [experiment]).await {
            Ok(starts) => counted(&mut message, &starts),
            Err(error) => tracing::warn!(
                error = chain(&error),
                "an answer lacks the fence of its experiment"
            ),
        }
        Some(message)
    }

    /// [`Self::message`] and, after `wait`, how far the change has come, if that can be found out.
    async fn answer(
        &self,
        call: &Call,
        experiment: &Experiment,
        wait: Option<Duration>,
    ) -> (Option<pb::Experiment>, Option<pb::Activation>) {
        let mut found = None;
        if let Some(wait) = wait {
            let generation = experiment.meta.generation;
            match self.fences.wait(&call.namespace, generation, wait).await {
                Ok(activated) => found = Some(activation(activated)),
                Err(error) => tracing::warn!(
                    generation,
                    error = chain(&error),
                    "nobody knows how far a change has come"
                ),
            }
        }
        (self.message(experiment).await, found)
    }
}

#[tonic::async_trait]
impl ExperimentService for Experiments {
    async fn create_experiment(
        &self,
        request: Request<pb::CreateExperimentRequest>,
    ) -> Result<Response<pb::CreateExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let asked = required(request.experiment, "experiment")?;
        let may_start = match request.start {
            true => caller.may(Role::Operator, "starting an experiment"),
            false => Ok(()),
        };
        let call = caller.to(&asked.namespace)?;
        may_start?;
        let sketch = decode::sketch(asked)?;
        let (experiment, warnings) = create(&self.truth, &call, sketch, request.start).await?;
        let (experiment, activation) = self.answer(&call, &experiment, wait).await;
        let warnings = findings(&warnings);
        Ok(Response::new(pb::CreateExperimentResponse {
            experiment,
            activation,
            warnings,
        }))
    }

    async fn get_experiment(
        &self,
        request: Request<pb::GetExperimentRequest>,
    ) -> Result<Response<pb::GetExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let key = key(&request.key).map_err(Error::from)?;
        let (experiment, flags) = read(&self.truth, &call, &key).await?;
        let starts = starts(&self.truth, &call.namespace, [&experiment]).await?;
        let mut message = with_drift(&experiment, &flags, self.truth.now());
        counted(&mut message, &starts);
        let experiment = Some(message);
        Ok(Response::new(pb::GetExperimentResponse { experiment }))
    }

    async fn list_experiments(
        &self,
        request: Request<pb::ListExperimentsRequest>,
    ) -> Result<Response<pb::ListExperimentsResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let filter = decode::filter(&request)?;
        let page = PageRequest {
            size: request.page_size,
            token: request.page_token,
        };
        let (found, flags, next_page_token) = read_page(&self.truth, &call, &filter, &page).await?;
        let now = self.truth.now();
        let starts = starts(&self.truth, &call.namespace, &found).await?;
        let message = |experiment| {
            let mut message = with_drift(experiment, &flags, now);
            counted(&mut message, &starts);
            message
        };
        let experiments = found.iter().map(message).collect();
        Ok(Response::new(pb::ListExperimentsResponse {
            experiments,
            next_page_token,
        }))
    }

    async fn update_experiment(
        &self,
        request: Request<pb::UpdateExperimentRequest>,
    ) -> Result<Response<pb::UpdateExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let asked = required(request.experiment, "experiment")?;
        let commands = caller.may(
            Role::Operator,
            "changing whom a live experiment reaches, or when it ends,",
        );
        let call = caller.to(&asked.namespace)?;
        let edit = Edit {
            commands,
            ..decode::edit(asked, request.update_mask)?
        };
        let (experiment, warnings) = update(&self.truth, &call, edit).await?;
        let (experiment, warnings) = (self.message(&experiment).await, findings(&warnings));
        Ok(Response::new(pb::UpdateExperimentResponse {
            experiment,
            warnings,
        }))
    }

    async fn validate_experiment(
        &self,
        request: Request<pb::ValidateExperimentRequest>,
    ) -> Result<Response<pb::ValidateExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let (namespace, subject) = decode::subject(request)?;
        let found = validate(&self.truth, &caller.to(&namespace)?, subject).await?;
        let (errors, warnings) = (findings(&found.errors), findings(&found.warnings));
        Ok(Response::new(pb::ValidateExperimentResponse { errors, warnings }))
    }

    async fn start_experiment(
        &self,
        request: Request<pb::StartExperimentRequest>,
    ) -> Result<Response<pb::StartExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, String::new());
        let (experiment, warnings) = start(&self.truth, &call, order, request.confirm).await?;
        let (experiment, activation) = self.answer(&call, &experiment, wait).await;
        let warnings = findings(&warnings);
        Ok(Response::new(pb::StartExperimentResponse {
            experiment,
            activation,
            warnings,
        }))
    }

    async fn unschedule_experiment(
        &self,
        request: Request<pb::UnscheduleExperimentRequest>,
    ) -> Result<Response<pb::UnscheduleExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, request.reason);
        let (experiment, activation) = self
            .answer(&call, &unschedule(&self.truth, &call, order).await?, wait)
            .await;
        Ok(Response::new(pb::UnscheduleExperimentResponse {
            experiment,
            activation,
        }))
    }

    async fn pause_experiment(
        &self,
        request: Request<pb::PauseExperimentRequest>,
    ) -> Result<Response<pb::PauseExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let mode = decode::pause_mode(request.mode)?;
        let order = Order::new(request.key, request.version, request.reason);
        let (experiment, activation) = self
            .answer(&call, &pause(&self.truth, &call, order, mode).await?, wait)
            .await;
        Ok(Response::new(pb::PauseExperimentResponse {
            experiment,
            activation,
        }))
    }

    async fn resume_experiment(
        &self,
        request: Request<pb::ResumeExperimentRequest>,
    ) -> Result<Response<pb::ResumeExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, request.reason);
        let (experiment, activation) = self
            .answer(&call, &resume(&self.truth, &call, order).await?, wait)
            .await;
        Ok(Response::new(pb::ResumeExperimentResponse {
            experiment,
            activation,
        }))
    }

    async fn add_cohort(
        &self,
        request: Request<pb::AddCohortRequest>,
    ) -> Result<Response<pb::AddCohortResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let split = decode::split(request.weights, &request.closed_variant_key)?;
        let order = Order::new(request.key, request.version, request.reason);
        let mut experiment = add_cohort(&self.truth, &call, order, split).await?;
        let mut left = wait;
        if let Some(wait) = wait {
            let opened = opened(&self.truth, &self.fences, &call, &experiment, wait).await;
            (experiment, left) = opened.map(|(opened, left)| (opened, Some(left)))?;
        }
        let (experiment, activation) = self.answer(&call, &experiment, left).await;
        Ok(Response::new(pb::AddCohortResponse {
            experiment,
            activation,
        }))
    }

    async fn stop_experiment(
        &self,
        request: Request<pb::StopExperimentRequest>,
    ) -> Result<Response<pb::StopExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, request.reason);
        let (experiment, activation) = self
            .answer(
                &call,
                &stop(&self.truth, &call, order, request.confirm).await?,
                wait,
            )
            .await;
        Ok(Response::new(pb::StopExperimentResponse {
            experiment,
            activation,
        }))
    }

    async fn declare_winner(
        &self,
        request: Request<pb::DeclareWinnerRequest>,
    ) -> Result<Response<pb::DeclareWinnerResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let winner = decode::winner(&request.variant_key)?;
        let order = Order::new(request.key, request.version, request.reason);
        let signals = (!request.force).then_some(&self.signals);
        let (experiment, flag) = declare_winner(&self.truth, &call, order, winner, signals).await?;
        let (experiment, activation) = self.answer(&call, &experiment, wait).await;
        Ok(Response::new(pb::DeclareWinnerResponse {
            experiment,
            activation,
            flag: Some((&flag).into()),
        }))
    }

    async fn undo_experiment(
        &self,
        request: Request<pb::UndoExperimentRequest>,
    ) -> Result<Response<pb::UndoExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, request.reason);
        let (experiment, flag) = undo(&self.truth, &call, order).await?;
        let (experiment, activation) = self.answer(&call, &experiment, wait).await;
        Ok(Response::new(pb::UndoExperimentResponse {
            experiment,
            activation,
            flag: Some((&flag).into()),
        }))
    }

    async fn end_experiment(
        &self,
        request: Request<pb::EndExperimentRequest>,
    ) -> Result<Response<pb::EndExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, request.reason);
        let ended = end(&self.truth, &call, order, &self.signals, request.force);
        let (experiment, callers) = ended.await?;
        let callers = callers.iter().map(encode::caller).collect();
        let (experiment, activation) = self.answer(&call, &experiment, wait).await;
        Ok(Response::new(pb::EndExperimentResponse {
            experiment,
            callers,
            activation,
        }))
    }

    async fn archive_experiment(
        &self,
        request: Request<pb::ArchiveExperimentRequest>,
    ) -> Result<Response<pb::ArchiveExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, request.reason);
        let (experiment, activation) = self
            .answer(&call, &archive(&self.truth, &call, order).await?, wait)
            .await;
        Ok(Response::new(pb::ArchiveExperimentResponse {
            experiment,
            activation,
        }))
    }

    async fn unarchive_experiment(
        &self,
        request: Request<pb::UnarchiveExperimentRequest>,
    ) -> Result<Response<pb::UnarchiveExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let wait = wait_from(request.wait)?;
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, request.reason);
        let (experiment, activation) = self
            .answer(&call, &unarchive(&self.truth, &call, order).await?, wait)
            .await;
        Ok(Response::new(pb::UnarchiveExperimentResponse {
            experiment,
            activation,
        }))
    }

    async fn duplicate_experiment(
        &self,
        request: Request<pb::DuplicateExperimentRequest>,
    ) -> Result<Response<pb::DuplicateExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let key = key(&request.key).map_err(Error::from)?;
        let new_key = decode::new_key(&request.new_key)?;
        let (experiment, warnings) = duplicate(&self.truth, &call, &key, new_key).await?;
        let (experiment, warnings) = (self.message(&experiment).await, findings(&warnings));
        Ok(Response::new(pb::DuplicateExperimentResponse {
            experiment,
            warnings,
        }))
    }

    async fn delete_experiment(
        &self,
        request: Request<pb::DeleteExperimentRequest>,
    ) -> Result<Response<pb::DeleteExperimentResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let order = Order::new(request.key, request.version, String::new());
        delete(&self.truth, &call, order).await?;
        Ok(Response::new(pb::DeleteExperimentResponse {}))
    }
}
