//! The lifecycle of an experiment, one command at a time.

use assay_proto::{Duration, config::v1 as pb};

use crate::{Client, Error, resource::Target, retry};

/// What to do to an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// DRAFT → RUNNING, or SCHEDULED when its start time lies ahead.
    Start,
    /// SCHEDULED → DRAFT.
    Unschedule {
        /// Why; may be empty.
        reason: String,
    },
    /// RUNNING → PAUSED, or another mode while paused.
    Pause {
        /// What units get meanwhile.
        mode: pb::PauseMode,
        /// Why; may be empty.
        reason: String,
    },
    /// PAUSED → RUNNING.
    Resume {
        /// Why; may be empty.
        reason: String,
    },
    /// Another cohort for units not seen before. It opens when every replica has settled.
    AddCohort {
        /// Its weights, in the order of the variants, in ten-thousandths; empty when a variant is closed.
        weights: Vec<u32>,
        /// Key of the variant that gets no new units; empty when weights are given.
        closed: String,
        /// Why; may be empty.
        reason: String,
        /// How long to wait until it is open.
        wait: Option<Duration>,
    },
    /// → COMPLETED without winner. Final after a minute.
    Stop {
        /// Why; may be empty.
        reason: String,
    },
    /// → COMPLETED with a winner. Final after a minute.
    DeclareWinner {
        /// Key of the variant that won.
        variant: String,
        /// Why.
        reason: String,
        /// Declares it without a winner signal.
        force: bool,
    },
    /// → the state before Stop or `DeclareWinner`, within a minute of it.
    Undo {
        /// Why; may be empty.
        reason: String,
    },
    /// COMPLETED → ENDED.
    End {
        /// Why; may be empty.
        reason: String,
        /// Ends it although it is still asked for.
        force: bool,
    },
    /// → ARCHIVED.
    Archive {
        /// Why; may be empty.
        reason: String,
    },
    /// ARCHIVED → where it was archived from.
    Unarchive {
        /// Why; may be empty.
        reason: String,
    },
}

/// What a command led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// What is stored now.
    pub experiment: pb::Experiment,
    /// Worth a look.
    pub warnings: Vec<pb::Finding>,
}

impl Client {
    /// Gives `command` to the experiment, confirmed: whoever calls this has asked.
    ///
    /// # Errors
    /// [`Error::Call`], with reason `INVALID_TRANSITION` when the state does not allow it.
    pub async fn command(&self, target: &Target, command: Command) -> Result<Done, Error> {
        retry(|| {
            let (client, target, command) = (self.clone(), target.clone(), command.clone());
            async move { client.give(target, command).await }
        })
        .await?
        .ok_or(Error::Incomplete { what: "experiment" })
    }

    async fn give(
        &self,
        target: Target,
        command: Command,
    ) -> Result<tonic::Response<Option<Done>>, tonic::Status> {
        let mut service = self.experiments();
        let Target {
            namespace,
            key,
            version,
        } = target;
        let (experiment, warnings) = match command {
            Command::Start => {
                let request = pb::StartExperimentRequest {
                    namespace,
                    key,
                    version,
                    confirm: true,
                    ..Default::default()
                };
                let answer = service.start_experiment(request).await?.into_inner();
                (answer.experiment, answer.warnings)
            }
            Command::Unschedule { reason } => {
                let request = pb::UnscheduleExperimentRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    ..Default::default()
                };
                (
                    service
                        .unschedule_experiment(request)
                        .await?
                        .into_inner()
                        .experiment,
                    Vec::new(),
                )
            }
            Command::Pause { mode, reason } => {
                let request = pb::PauseExperimentRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    mode: mode.into(),
                    ..Default::default()
                };
                (
                    service.pause_experiment(request).await?.into_inner().experiment,
                    Vec::new(),
                )
            }
            Command::Resume { reason } => {
                let request = pb::ResumeExperimentRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    ..Default::default()
                };
                (
                    service.resume_experiment(request).await?.into_inner().experiment,
                    Vec::new(),
                )
            }
            Command::AddCohort {
                weights,
                closed,
                reason,
                wait,
            } => {
                let request = pb::AddCohortRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    weights,
                    closed_variant_key: closed,
                    wait,
                };
                (
                    service.add_cohort(request).await?.into_inner().experiment,
                    Vec::new(),
                )
            }
            Command::Stop { reason } => {
                let request = pb::StopExperimentRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    confirm: true,
                    ..Default::default()
                };
                (
                    service.stop_experiment(request).await?.into_inner().experiment,
                    Vec::new(),
                )
            }
            Command::DeclareWinner {
                variant,
                reason,
                force,
            } => {
                let request = pb::DeclareWinnerRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    variant_key: variant,
                    force,
                    ..Default::default()
                };
                (
                    service.declare_winner(request).await?.into_inner().experiment,
                    Vec::new(),
                )
            }
            Command::Undo { reason } => {
                let request = pb::UndoExperimentRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    ..Default::default()
                };
                (
                    service.undo_experiment(request).await?.into_inner().experiment,
                    Vec::new(),
                )
            }
            Command::End { reason, force } => {
                let request = pb::EndExperimentRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    force,
                    ..Default::default()
                };
                (
                    service.end_experiment(request).await?.into_inner().experiment,
                    Vec::new(),
                )
            }
            Command::Unarchive { reason } => {
                let request = pb::UnarchiveExperimentRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    ..Default::default()
                };
                (
                    service
                        .unarchive_experiment(request)
                        .await?
                        .into_inner()
                        .experiment,
                    Vec::new(),
                )
            }
            Command::Archive { reason } => {
                let request = pb::ArchiveExperimentRequest {
                    namespace,
                    key,
                    version,
                    reason,
                    ..Default::default()
                };
                (
                    service.archive_experiment(request).await?.into_inner().experiment,
                    Vec::new(),
                )
            }
        };
        Ok(tonic::Response::new(
            experiment.map(|experiment| Done { experiment, warnings }),
        ))
    }

    /// Creates the experiment; with `start` it is started, or scheduled, in the same change.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn create_experiment(&self, experiment: pb::Experiment, start: bool) -> Result<Done, Error> {
        let request = pb::CreateExperimentRequest {
            experiment: Some(experiment),
            start,
            ..Default::default()
        };
        let response = retry(|| {
            let (mut service, request) = (self.experiments(), request.clone());
            async move { service.create_experiment(request).await }
        });
        let pb::CreateExperimentResponse {
            experiment, warnings, ..
        } = response.await?;
        let experiment = experiment.ok_or(Error::Incomplete { what: "experiment" })?;
        Ok(Done { experiment, warnings })
    }

    /// Copies an experiment into a new draft, of key `new_key` unless that is empty.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn duplicate(&self, namespace: &str, key: &str, new_key: &str) -> Result<Done, Error> {
        let request = pb::DuplicateExperimentRequest {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            new_key: new_key.to_owned(),
        };
        let response = retry(|| {
            let (mut service, request) = (self.experiments(), request.clone());
            async move { service.duplicate_experiment(request).await }
        });
        let pb::DuplicateExperimentResponse { experiment, warnings } = response.await?;
        let experiment = experiment.ok_or(Error::Incomplete { what: "experiment" })?;
        Ok(Done { experiment, warnings })
    }

    /// What Start would refuse, and what is worth a look.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn validate(
        &self,
        request: pb::ValidateExperimentRequest,
    ) -> Result<pb::ValidateExperimentResponse, Error> {
        retry(|| {
            let (mut service, request) = (self.experiments(), request.clone());
            async move { service.validate_experiment(request).await }
        })
        .await
    }
}
