//! Flags, segments, metrics, experiments, layers and holdouts: the same five calls for each.

use assay_core::{key::Namespace, value::Attributes};
use assay_proto::{config::v1 as pb, convert::attributes_to_struct};

use crate::{Client, Error, retry};

/// Where a resource lives and which version of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The namespace; the empty text is `default`.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// The version that must be stored.
    pub version: u64,
}

/// What all kinds of resources can do.
pub trait Resource: Clone + Send + Sync + Sized {
    /// What people call the kind, such as `flag`.
    const KIND: &'static str;

    /// Its namespace.
    fn namespace(&self) -> &str;
    /// Its key.
    fn key(&self) -> &str;
    /// Its version.
    fn version(&self) -> u64;
    /// Names another version, the one that an update has read.
    fn set_version(&mut self, version: u64);
    /// Moves it to another namespace, before it is created.
    fn set_namespace(&mut self, namespace: String);

    /// Creates it.
    fn create(self, client: &Client) -> impl Future<Output = Result<Self, Error>> + Send;
    /// Reads the one of this key.
    fn get(client: &Client, namespace: &str, key: &str) -> impl Future<Output = Result<Self, Error>> + Send;
    /// Reads all, page by page, in order of key; of experiments all but the archived.
    fn list(client: &Client, namespace: &str) -> impl Future<Output = Result<Vec<Self>, Error>> + Send;
    /// Changes it. It must name the version that was read. With what is worth a look, such as who uses a segment whose rules have changed.
    fn update(self, client: &Client) -> impl Future<Output = Result<(Self, Vec<pb::Finding>), Error>> + Send;
    /// Removes it.
    fn delete(client: &Client, target: &Target) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What an answer to an update says besides the resource.
trait Warned {
    fn take_warnings(&mut self) -> Vec<pb::Finding> {
        Vec::new()
    }
}

impl Warned for pb::UpdateFlagResponse {}

impl Warned for pb::UpdateMetricResponse {}

impl Warned for pb::UpdateLayerResponse {}

impl Warned for pb::UpdateHoldoutResponse {}

impl Warned for pb::UpdateSegmentResponse {
    fn take_warnings(&mut self) -> Vec<pb::Finding> {
        std::mem::take(&mut self.warnings)
    }
}

impl Warned for pb::UpdateExperimentResponse {
    fn take_warnings(&mut self) -> Vec<pb::Finding> {
        std::mem::take(&mut self.warnings)
    }
}

macro_rules! resource {
    ($kind:literal, $client:ident, $field:ident, $list:ident, $message:ident,
     $create:ident $Create:ident, $get:ident $Get:ident, $list_call:ident $List:ident, $update:ident $Update:ident,
     $delete:ident $Delete:ident) => {
        impl Resource for pb::$message {
            const KIND: &'static str = $kind;

            fn namespace(&self) -> &str {
                &self.namespace
            }

            fn key(&self) -> &str {
                &self.key
            }

            fn version(&self) -> u64 {
                self.version
            }

            fn set_version(&mut self, version: u64) {
                self.version = version;
            }

            fn set_namespace(&mut self, namespace: String) {
                self.namespace = namespace;
            }

            #[allow(
                clippy::needless_update,
                reason = "some of these messages have more fields"
            )]
            async fn create(self, client: &Client) -> Result<Self, Error> {
                let request = pb::$Create {
                    $field: Some(self),
                    ..Default::default()
                };
                let response = retry(|| {
                    let (mut service, request) = (client.$client(), request.clone());
                    async move { service.$create(request).await }
                });
                response
                    .await?
                    .$field
                    .ok_or(Error::Incomplete { what: $kind })
            }

            async fn get(client: &Client, namespace: &str, key: &str) -> Result<Self, Error> {
                let mut request = pb::$Get::default();
                request.namespace = namespace.to_owned();
                request.key = key.to_owned();
                let response = retry(|| {
                    let (mut service, request) = (client.$client(), request.clone());
                    async move { service.$get(request).await }
                });
                response
                    .await?
                    .$field
                    .ok_or(Error::Incomplete { what: $kind })
            }

            async fn list(client: &Client, namespace: &str) -> Result<Vec<Self>, Error> {
                let mut found = Vec::new();
                let mut request = pb::$List {
                    namespace: namespace.to_owned(),
                    page_size: 1000,
                    ..Default::default()
                };
                loop {
                    let response = retry(|| {
                        let (mut service, request) = (client.$client(), request.clone());
                        async move { service.$list_call(request).await }
                    });
                    let page = response.await?;
                    found.extend(page.$list);
                    if page.next_page_token.is_empty() {
                        return Ok(found);
                    }
                    request.page_token = page.next_page_token;
                }
            }

            async fn update(self, client: &Client) -> Result<(Self, Vec<pb::Finding>), Error> {
                let request = pb::$Update {
                    $field: Some(self),
                    update_mask: None,
                };
                let response = retry(|| {
                    let (mut service, request) = (client.$client(), request.clone());
                    async move { service.$update(request).await }
                });
                let mut answer = response.await?;
                let warnings = answer.take_warnings();
                let updated = answer.$field.ok_or(Error::Incomplete { what: $kind })?;
                Ok((updated, warnings))
            }

            async fn delete(client: &Client, target: &Target) -> Result<(), Error> {
                let request = pb::$Delete {
                    namespace: target.namespace.clone(),
                    key: target.key.clone(),
                    version: target.version,
                };
                let response = retry(|| {
                    let (mut service, request) = (client.$client(), request.clone());
                    async move { service.$delete(request).await }
                });
                response.await.map(|_| ())
            }
        }
    };
}

resource!(
    "flag", flags, flag, flags, Flag,
    create_flag CreateFlagRequest, get_flag GetFlagRequest, list_flags ListFlagsRequest, update_flag UpdateFlagRequest,
    delete_flag DeleteFlagRequest
);
resource!(
    "segment", segments, segment, segments, Segment,
    create_segment CreateSegmentRequest, get_segment GetSegmentRequest, list_segments ListSegmentsRequest,
    update_segment UpdateSegmentRequest, delete_segment DeleteSegmentRequest
);
resource!(
    "metric", metrics, metric, metrics, Metric,
    create_metric CreateMetricRequest, get_metric GetMetricRequest, list_metrics ListMetricsRequest,
    update_metric UpdateMetricRequest, delete_metric DeleteMetricRequest
);
resource!(
    "experiment", experiments, experiment, experiments, Experiment,
    create_experiment CreateExperimentRequest, get_experiment GetExperimentRequest,
    list_experiments ListExperimentsRequest, update_experiment UpdateExperimentRequest,
    delete_experiment DeleteExperimentRequest
);
resource!(
    "layer", layers, layer, layers, Layer,
    create_layer CreateLayerRequest, get_layer GetLayerRequest, list_layers ListLayersRequest,
    update_layer UpdateLayerRequest, delete_layer DeleteLayerRequest
);
resource!(
    "holdout", holdouts, holdout, holdouts, Holdout,
    create_holdout CreateHoldoutRequest, get_holdout GetHoldoutRequest, list_holdouts ListHoldoutsRequest,
    update_holdout UpdateHoldoutRequest, delete_holdout DeleteHoldoutRequest
);

/// What segment is tested.
#[derive(Debug, Clone, PartialEq)]
pub enum TestedSegment {
    /// A stored one, in one version or (0) the latest.
    Stored {
        /// Its key.
        key: String,
        /// Its version.
        version: u64,
    },
    /// One that need not be stored.
    Given(pb::Segment),
}

impl Client {
    /// Whether a unit with `attributes` belongs to a segment, and why.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn test_segment(
        &self,
        namespace: &Namespace,
        tested: TestedSegment,
        attributes: &Attributes,
    ) -> Result<pb::TestSegmentResponse, Error> {
        use pb::test_segment_request::Subject;
        let (subject, version) = match tested {
            TestedSegment::Stored { key, version } => (Subject::Key(key), version),
            TestedSegment::Given(segment) => (Subject::Segment(segment), 0),
        };
        let request = pb::TestSegmentRequest {
            namespace: namespace.to_string(),
            subject: Some(subject),
            version,
            attributes: Some(attributes_to_struct(attributes)),
        };
        retry(|| {
            let (mut service, request) = (self.segments(), request.clone());
            async move { service.test_segment(request).await }
        })
        .await
    }
}
