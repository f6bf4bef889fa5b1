//! Who gets what, and what came of it.

use assay_core::{
    key::{Namespace, Unit},
    value::Attributes,
};
use assay_proto::{
    analysis::v1::{
        Caller, ExperimentResult, GetResultsRequest, ListAssignmentsRequest, ListAssignmentsResponse,
        ListCallersRequest,
    },
    assignment::v1::{
        AssignBatchItem, AssignBatchRequest, AssignBatchResult, AssignRequest, Assignment, ExplainRequest,
        ExplainResponse, Exposure,
    },
    convert::{attributes_to_struct, unit},
};

use crate::{Client, Error, retry};

impl Client {
    /// What `to` gets for each of `flags`, or for all flags of the namespace when there is none among them.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn assign(
        &self,
        namespace: &Namespace,
        to: Option<&Unit>,
        attributes: &Attributes,
        flags: &[String],
        exposure: Exposure,
    ) -> Result<Vec<Assignment>, Error> {
        let request = AssignRequest {
            namespace: namespace.to_string(),
            unit: to.map(unit),
            attributes: Some(attributes_to_struct(attributes)),
            flag_keys: flags.to_vec(),
            exposure: exposure.into(),
        };
        let response = retry(|| {
            let (mut service, request) = (self.assignments(), request.clone());
            async move { service.assign(request).await }
        });
        Ok(response.await?.assignments)
    }

    /// What each of 1 to 1,000 `units` gets for each of `flags`, all from one generation, in their order.
    ///
    /// # Errors
    /// [`Error::Call`]. A unit that is refused is no error: its result says why.
    pub async fn assign_batch(
        &self,
        namespace: &Namespace,
        units: &[(Unit, Attributes)],
        flags: &[String],
        exposure: Exposure,
    ) -> Result<Vec<AssignBatchResult>, Error> {
        let items = units.iter().map(|(one, attributes)| AssignBatchItem {
            unit: Some(unit(one)),
            attributes: Some(attributes_to_struct(attributes)),
        });
        let request = AssignBatchRequest {
            namespace: namespace.to_string(),
            items: items.collect(),
            flag_keys: flags.to_vec(),
            exposure: exposure.into(),
        };
        let response = retry(|| {
            let (mut service, request) = (self.assignments(), request.clone());
            async move { service.assign_batch(request).await }
        });
        Ok(response.await?.results)
    }

    /// Why `to` gets what it gets for `flag`, from what is served now, or from what was published at a `generation`.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn explain(
        &self,
        namespace: &Namespace,
        to: Option<&Unit>,
        attributes: &Attributes,
        flag: &str,
        generation: Option<u64>,
    ) -> Result<ExplainResponse, Error> {
        let request = ExplainRequest {
            namespace: namespace.to_string(),
            unit: to.map(unit),
            attributes: Some(attributes_to_struct(attributes)),
            flag_key: flag.to_owned(),
            generation: generation.unwrap_or_default(),
        };
        if generation.is_some() {
            let asked = retry(|| {
                let (mut service, request) = (self.generations(), request.clone());
                async move { service.explain_generation(request).await }
            });
            return asked.await;
        }
        let asked = retry(|| {
            let (mut service, request) = (self.assignments(), request.clone());
            async move { service.explain(request).await }
        });
        asked.await
    }

    /// The result of an experiment as of now.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn results(&self, namespace: &Namespace, experiment: &str) -> Result<ExperimentResult, Error> {
        let request = GetResultsRequest {
            namespace: namespace.to_string(),
            experiment_key: experiment.to_owned(),
        };
        let response = retry(|| {
            let (mut service, request) = (self.analysis(), request.clone());
            async move { service.get_results(request).await }
        });
        response.await?.result.ok_or(Error::Incomplete { what: "result" })
    }

    /// One page of the exposed units of an experiment; only `of` when given.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn list_assignments(
        &self,
        namespace: &Namespace,
        experiment: &str,
        of: Option<&Unit>,
        page_size: i32,
        page_token: &str,
    ) -> Result<ListAssignmentsResponse, Error> {
        let request = ListAssignmentsRequest {
            namespace: namespace.to_string(),
            experiment_key: experiment.to_owned(),
            unit: of.map(unit),
            page_size,
            page_token: page_token.to_owned(),
        };
        retry(|| {
            let (mut service, request) = (self.analysis(), request.clone());
            async move { service.list_assignments(request).await }
        })
        .await
    }

    /// Who has asked for flags or experiments of these keys, the latest first.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn callers(&self, namespace: &str, keys: &[&str]) -> Result<Vec<Caller>, Error> {
        let request = ListCallersRequest {
            namespace: namespace.to_owned(),
            keys: keys.iter().map(ToString::to_string).collect(),
            since: None,
        };
        let response = retry(|| {
            let (mut service, request) = (self.analysis(), request.clone());
            async move { service.list_callers(request).await }
        });
        Ok(response.await?.callers)
    }
}
