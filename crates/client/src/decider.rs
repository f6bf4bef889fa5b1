//! Decisions with one API and two ways: asked of assignment for each question, or made in process from the configuration that it hands over.

use std::{sync::Arc, time::Duration};

use assay_core::{
    key::{Namespace, Unit},
    value::{Attributes, Value},
};
use assay_platform::{SharedClock, SystemClock};
use assay_proto::{
    assignment::v1::{Assignment, ExplainResponse, Exposure, Reason},
    convert::value_from,
};

use crate::{
    Client, Error,
    in_process::{DecisionCounts, InProcess},
};

/// How decisions are made.
#[derive(Clone)]
pub struct DeciderOptions {
    /// How long a question to assignment may take in all, attempts and pauses between them included.
    pub deadline: Duration,
    /// In process: most exposures that wait to be sent. Beyond, the newest are dropped and counted.
    pub max_pending: usize,
    /// In process: how long exposures are gathered before they are sent.
    pub ship_interval: Duration,
    /// In process: how long [`Decider::close`] waits for assignment to take what is left.
    pub drain_deadline: Duration,
    /// The time of day of exposures.
    pub clock: SharedClock,
}

impl Default for DeciderOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            max_pending: 10_000,
            ship_interval: Duration::from_secs(1),
            drain_deadline: Duration::from_secs(3),
            clock: SystemClock::shared(),
        }
    }
}

/// Decides for the units of one namespace. Made by [`Client::decider`] or [`Client::in_process_decider`].
pub struct Decider {
    client: Client,
    namespace: Namespace,
    deadline: Duration,
    in_process: Option<Arc<InProcess>>,
}

impl Client {
    /// Decisions that are asked of assignment.
    pub fn decider(&self, namespace: Namespace, options: &DeciderOptions) -> Decider {
        Decider {
            client: self.clone(),
            namespace,
            deadline: options.deadline,
            in_process: None,
        }
    }

    /// Decisions that are made in this process, by the code and from the configuration that assignment itself answers from. Needs a key of the
    /// role `evaluator` where keys are needed. Call it within a tokio runtime: it follows the configuration until it is closed or dropped.
    ///
    /// The last configuration that was whole is used on when assignment is away, and never replaced by an older one; until the first has come,
    /// questions go to assignment. So do those whose answer depends on what is stored: while assignment is away, such answers are the flag's
    /// default with [`Reason::Degraded`]. Exposures are sent in the background and count as those of assignment do; see [`Decider::counts`].
    pub fn in_process_decider(&self, namespace: Namespace, options: &DeciderOptions) -> Decider {
        Decider {
            in_process: Some(InProcess::start(self, &namespace, options)),
            ..self.decider(namespace, options)
        }
    }
}

impl Decider {
    /// Waits until decisions can be made in process, at most for `limit`; whether they can. Asked ones always can.
    pub async fn ready(&self, limit: Duration) -> bool {
        match &self.in_process {
            Some(in_process) => in_process.ready(limit).await,
            None => true,
        }
    }

    /// What `unit` gets for each of `flags`, or for all flags of the namespace when there is none among them, all from one generation.
    ///
    /// # Errors
    /// [`Error::Call`] or [`Error::Deadline`] when assignment had to be asked.
    pub async fn assign(
        &self,
        unit: Option<&Unit>,
        attributes: &Attributes,
        flags: &[String],
        exposure: Exposure,
    ) -> Result<Vec<Assignment>, Error> {
        let Some(in_process) = &self.in_process else {
            return self.ask(unit, attributes, flags, exposure).await;
        };
        let local = match in_process.decide(unit, attributes, flags, exposure) {
            Some(local) if local.is_whole() => return Ok(in_process.give(local)),
            local => local,
        };
        match (self.ask(unit, attributes, flags, exposure).await, local) {
            (Err(error), Some(local)) if error.is_temporary() => Ok(in_process.give(local)),
            (asked, _) => asked,
        }
    }

    /// What `unit` gets for `flag`, as an exposure. `default` when nothing of its type can be had: a page never fails because a flag does.
    pub async fn value(&self, unit: &Unit, attributes: &Attributes, flag: &str, default: Value) -> Value {
        let flags = [flag.to_owned()];
        let answers = self
            .assign(Some(unit), attributes, &flags, Exposure::Record)
            .await;
        let answer = answers.ok().and_then(|answers| answers.into_iter().next());
        let known = answer.filter(|answer| answer.reason() != Reason::UnknownFlag);
        let served = known.and_then(|answer| value_from(answer.value, "value").ok());
        served
            .filter(|served| served.value_type() == default.value_type())
            .unwrap_or(default)
    }

    /// Why `unit` gets what it gets for `flag`: see [`Client::explain`]. Always asked of assignment.
    ///
    /// # Errors
    /// [`Error::Call`] or [`Error::Deadline`].
    pub async fn explain(
        &self,
        unit: Option<&Unit>,
        attributes: &Attributes,
        flag: &str,
    ) -> Result<ExplainResponse, Error> {
        let asked = self.client.explain(&self.namespace, unit, attributes, flag, None);
        self.in_time(asked).await
    }

    /// In process: the generation that decides, once there is one.
    pub fn generation(&self) -> Option<u64> {
        self.in_process.as_ref()?.generation()
    }

    /// In process: what has become of the exposures so far.
    pub fn counts(&self) -> DecisionCounts {
        let counts = self.in_process.as_ref().map(|in_process| in_process.counts());
        counts.unwrap_or_default()
    }

    /// Sends the exposures that are left and ends; what could not be sent in time is `pending` in the answer, and lost.
    pub async fn close(self) -> DecisionCounts {
        match &self.in_process {
            Some(in_process) => in_process.close().await,
            None => DecisionCounts::default(),
        }
    }

    async fn ask(
        &self,
        unit: Option<&Unit>,
        attributes: &Attributes,
        flags: &[String],
        exposure: Exposure,
    ) -> Result<Vec<Assignment>, Error> {
        let asked = self
            .client
            .assign(&self.namespace, unit, attributes, flags, exposure);
        self.in_time(asked).await
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let after = self.deadline;
        let called = tokio::time::timeout(after, call).await;
        called.unwrap_or(Err(Error::Deadline { after }))
    }
}
