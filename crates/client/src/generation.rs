//! Generations of a namespace, and its contents as a whole.

use assay_proto::config::v1 as pb;

use crate::{Client, Error, retry};

/// Largest page.
const PAGE: usize = 1_000;

impl Client {
    /// Up to `limit` generations, latest first.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn generations_of(&self, namespace: &str, limit: usize) -> Result<Vec<pb::Generation>, Error> {
        let mut found = Vec::new();
        let mut request = pb::ListGenerationsRequest {
            namespace: namespace.to_owned(),
            ..Default::default()
        };
        loop {
            let wanted = limit.saturating_sub(found.len()).clamp(1, PAGE);
            request.page_size = i32::try_from(wanted).unwrap_or_default();
            let page = retry(|| {
                let (mut service, request) = (self.generations(), request.clone());
                async move { service.list_generations(request).await }
            });
            let page = page.await?;
            found.extend(page.generations);
            if page.next_page_token.is_empty() || found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// All that was published at `generation`.
    ///
    /// # Errors
    /// [`Error::Call`], with reason `NOT_FOUND` when there was none.
    pub async fn generation(
        &self,
        namespace: &str,
        generation: u64,
    ) -> Result<pb::GetGenerationResponse, Error> {
        let request = pb::GetGenerationRequest {
            namespace: namespace.to_owned(),
            generation,
        };
        retry(|| {
            let (mut service, request) = (self.generations(), request.clone());
            async move { service.get_generation(request).await }
        })
        .await
    }

    /// What differs between two generations.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn diff(
        &self,
        namespace: &str,
        from: u64,
        to: u64,
    ) -> Result<Vec<pb::ResourceDifference>, Error> {
        let request = pb::DiffGenerationsRequest {
            namespace: namespace.to_owned(),
            from_generation: from,
            to_generation: to,
        };
        let answer = retry(|| {
            let (mut service, request) = (self.generations(), request.clone());
            async move { service.diff_generations(request).await }
        });
        Ok(answer.await?.differences)
    }

    /// Publishes anew what a generation served.
    ///
    /// # Errors
    /// [`Error::Call`], with reason `CANNOT_ROLL_BACK` when something stands in the way.
    pub async fn roll_back(&self, request: pb::RollbackRequest) -> Result<pb::RollbackResponse, Error> {
        retry(|| {
            let (mut service, request) = (self.generations(), request.clone());
            async move { service.rollback(request).await }
        })
        .await
    }

    /// The definitions of all that a namespace has, and the generation that was read.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn export(&self, namespace: &str) -> Result<(u64, pb::NamespaceContents), Error> {
        let request = pb::ExportNamespaceRequest {
            namespace: namespace.to_owned(),
        };
        let answer = retry(|| {
            let (mut service, request) = (self.generations(), request.clone());
            async move { service.export_namespace(request).await }
        });
        let answer = answer.await?;
        let contents = answer.contents.ok_or(Error::Incomplete { what: "contents" })?;
        Ok((answer.generation, contents))
    }

    /// Makes the resources of a namespace as they are given, or says what would change.
    ///
    /// # Errors
    /// [`Error::Call`], with reason `CANNOT_IMPORT` when something stands in the way.
    pub async fn import(
        &self,
        request: pb::ImportNamespaceRequest,
    ) -> Result<pb::ImportNamespaceResponse, Error> {
        retry(|| {
            let (mut service, request) = (self.generations(), request.clone());
            async move { service.import_namespace(request).await }
        })
        .await
    }
}
