use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use openidconnect::{
    AdditionalProviderMetadata, AuthType, Client, EmptyExtraTokenFields, EndSessionUrl,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, ProviderMetadata,
    StandardErrorResponse, StandardTokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreClaimName, CoreClaimType, CoreClientAuthMethod,
        CoreErrorResponseType, CoreGenderClaim, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
        CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
        CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{claims::OtherClaims, http::Http, refusal::Refusal, settings::Settings};
use crate::http_client::chain;

/// How long a discovery document and its keys are cached.
const KEPT: Duration = Duration::from_secs(3600);
/// How long a failure is cached, so that requests waiting for an unresponsive provider don't each time out in turn.
const FAILURE_KEPT: Duration = Duration::from_secs(3);
/// The minimum age of the keys before they are fetched again for a token that none of them has signed.
const KEYS_KEPT: Duration = Duration::from_secs(1);

/// A client of the provider, configured from its discovery document.
pub type ProviderClient = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<
        IdTokenFields<
            OtherClaims,
            EmptyExtraTokenFields,
            CoreGenderClaim,
            CoreJweContentEncryptionAlgorithm,
            CoreJwsSigningAlgorithm,
        >,
        CoreTokenType,
    >,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The fields of a discovery document that the crate doesn't read.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OtherMetadata {
    /// OpenID Connect RP-Initiated Logout 1.0, section 2.1.
    end_session_endpoint: Option<EndSessionUrl>,
    /// RFC 9207, section 3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for OtherMetadata {}

type Metadata = ProviderMetadata<
    OtherMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// The provider's metadata.
pub struct Discovered {
    pub client: ProviderClient,
    pub end_session: Option<EndSessionUrl>,
    /// Whether its responses contain the issuer.
    pub names_itself: bool,
}

/// Caches the discovery document and the keys. They are fetched on first use.
#[derive(Default)]
pub struct Discovery(Mutex<Option<(Instant, Option<Arc<Discovered>>)>>);

impl Discovery {
    pub async fn get(&self, settings: &Settings, http: &Http) -> Result<Arc<Discovered>, Refusal> {
        self.not_older_than(KEPT, settings, http).await
    }

    /// Does the same as [`Self::get`], but fetches again after a token that none of the keys has signed: the provider
    /// may have new keys.
    pub async fn again(
        &self,
        settings: &Settings,
        http: &Http,
    ) -> Result<Arc<Discovered>, Refusal> {
        self.not_older_than(KEYS_KEPT, settings, http).await
    }

    async fn not_older_than(
        &self,
        age: Duration,
        settings: &Settings,
        http: &Http,
    ) -> Result<Arc<Discovered>, Refusal> {
        let mut known = self.0.lock().await;
        match &*known {
            Some((at, Some(discovered))) if at.elapsed() < age => return Ok(discovered.clone()),
            Some((at, None)) if at.elapsed() < FAILURE_KEPT => return Err(Refusal::Unavailable),
            _ => {}
        }
        let discovered = discover(settings, http).await.map(Arc::new);
        *known = Some((Instant::now(), discovered.as_ref().ok().cloned()));
        discovered
    }
}

async fn discover(settings: &Settings, http: &Http) -> Result<Discovered, Refusal> {
    let issuer = settings.issuer.clone();
    let metadata = match Metadata::discover_async(issuer, http).await {
        Ok(metadata) => metadata,
        Err(error) => {
            let (issuer, error) = (settings.issuer.as_str(), chain(&error));
            tracing::warn!(issuer, error, "the OpenID Connect provider can't be used");
            return Err(Refusal::Unavailable);
        }
    };
    let other = metadata.additional_metadata().clone();
    // The default is client_secret_basic (RFC 8414, section 2).
    let by_post = metadata
        .token_endpoint_auth_methods_supported()
        .is_some_and(|methods| !methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
    let client = ProviderClient::from_provider_metadata(
        metadata,
        settings.client_id.clone(),
        settings.client_secret.clone(),
    );
    Ok(Discovered {
        client: match by_post {
            true => client.set_auth_type(AuthType::RequestBody),
            false => client,
        },
        end_session: other.end_session_endpoint,
        names_itself: other.authorization_response_iss_parameter_supported,
    })
}
