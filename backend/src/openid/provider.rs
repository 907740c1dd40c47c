use std::{
    sync::{Arc, Once},
    time::Duration,
};

use openidconnect::{
    AuthenticationContextClass, AuthorizationCode, ClaimsVerificationError, CsrfToken,
    LogoutRequest, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    PostLogoutRedirectUrl, RedirectUrl, RequestTokenError, TokenResponse, UserInfoClaims,
    core::{CoreAuthPrompt, CoreAuthenticationFlow, CoreGenderClaim, CoreJwsSigningAlgorithm},
};
use url::Url;

use super::{
    begun::Begun,
    claims::{Claims, OtherClaims},
    discovery::{Discovered, Discovery},
    http::Http,
    refusal::Refusal,
    settings::Settings,
};
use crate::http_client::chain;

/// The path to which the provider redirects after a sign-in.
const CALLBACK: &str = "/sign-in/openid/callback";
/// The path to which the provider redirects after a sign-out.
const SIGNED_OUT: &str = "/sign-in";

/// Signature algorithms with which only the provider can sign. Excludes HS256, whose key is the client's secret, and
/// `none`.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// An OpenID Connect provider for signing in, with the authorization code flow and PKCE.
pub struct Provider {
    pub settings: Settings,
    http: Http,
    discovery: Discovery,
    /// Whether the log says that the provider doesn't say when people authenticated.
    undated: Once,
}

/// The parameters of the provider's redirect (RFC 6749, section 4.1.2; RFC 9207). A missing one is empty.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    pub code: &'a str,
    pub state: &'a str,
    pub issuer: &'a str,
    pub error: &'a str,
}

impl Provider {
    /// Sends no request to the provider yet.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        Ok(Self {
            settings,
            http: Http::new()?,
            discovery: Discovery::default(),
            undated: Once::new(),
        })
    }

    async fn discovered(&self) -> Result<Arc<Discovered>, Refusal> {
        self.discovery.get(&self.settings, &self.http).await
    }

    /// Starts a sign-in on the pages of this origin that continues to `next`. Returns the URL for the browser, and what
    /// the browser has to keep meanwhile. With `confirms` the provider is asked to have the person sign in again there,
    /// and to say when they did (OpenID Connect Core 1.0, section 3.1.2.1).
    pub async fn begin(
        &self,
        origin: &str,
        next: &str,
        confirms: bool,
    ) -> Result<(Url, Begun), Refusal> {
        let discovered = self.discovered().await?;
        let client = discovered.client.clone();
        let client = client.set_redirect_uri(callback(origin)?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(self.settings.scopes.iter().cloned())
            .set_pkce_challenge(challenge);
        let acr_values = self.settings.acr_values.iter().cloned();
        let request = acr_values
            .map(AuthenticationContextClass::new)
            .fold(request, |request, acr| request.add_auth_context_value(acr));
        let request = match confirms {
            true => request
                .add_prompt(CoreAuthPrompt::Login)
                .set_max_age(Duration::ZERO),
            false => request,
        };
        let (url, state, nonce) = request.url();
        let begun = Begun {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            next: next.to_owned(),
            confirms,
        };
        Ok((url, begun))
    }

    /// Returns the claims about the person who has signed in. `begun` comes from a cookie of the browser that sends the
    /// response.
    pub(crate) async fn finish(
        &self,
        origin: &str,
        begun: Option<&Begun>,
        response: &Response<'_>,
    ) -> Result<Claims, Refusal> {
        let begun = begun.filter(|begun| begun.state == response.state);
        let begun = begun.ok_or(Refusal::NotBegunHere)?;
        let discovered = self.discovered().await?;
        let is_named = discovered.names_itself || !response.issuer.is_empty();
        if is_named && response.issuer != self.settings.issuer.as_str() {
            return Err(Refusal::OtherIssuer);
        }
        match response.error {
            "" => {}
            "access_denied" | "login_required" | "interaction_required" | "consent_required" => {
                return Err(Refusal::Denied);
            }
            error => {
                let error: String = error.chars().take(100).collect();
                tracing::warn!(error, "the OpenID Connect provider refused a sign-in");
                return Err(Refusal::Failed);
            }
        }
        self.redeem(&discovered, origin, begun, response.code).await
    }

    async fn redeem(
        &self,
        discovered: &Discovered,
        origin: &str,
        begun: &Begun,
        code: &str,
    ) -> Result<Claims, Refusal> {
        let client = discovered.client.clone();
        let client = client.set_redirect_uri(callback(origin)?);
        let exchange = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let tokens = exchange
            .map_err(|error| unusable(&error))?
            .set_pkce_verifier(PkceCodeVerifier::new(begun.verifier.clone()))
            .request_async(&self.http)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(said) => {
                    tracing::warn!(%said, "the OpenID Connect provider refused a code");
                    Refusal::InvalidCode
                }
                error => unusable(&error),
            })?;
        let id_token = tokens.id_token().ok_or(Refusal::InvalidToken)?;
        let nonce = Nonce::new(begun.nonce.clone());
        let verify = |discovered: &Discovered| {
            let verifier = discovered.client.id_token_verifier();
            let verifier = verifier.set_allowed_algs(ALGORITHMS);
            id_token.claims(&verifier, &nonce).cloned()
        };
        let verified = match verify(discovered) {
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                verify(&*self.discovery.again(&self.settings, &self.http).await?)
            }
            verified => verified,
        };
        let claims = verified.map_err(|error| {
            tracing::warn!(error = chain(&error), "an ID token isn't valid");
            Refusal::InvalidToken
        })?;
        // OpenID Connect Core 1.0, section 2, and RFC 9470, section 5.
        let context = claims.auth_context_ref().map(|context| context.as_str());
        let acr_values = &self.settings.acr_values;
        if !acr_values.is_empty() && !acr_values.iter().any(|acr| Some(&**acr) == context) {
            tracing::warn!(
                acr = context,
                "the OpenID Connect provider used another authentication context"
            );
            return Err(Refusal::OtherContext);
        }
        let (other, admin) = (claims.additional_claims(), self.settings.admin.as_ref());
        let mut said = Claims::new(
            claims.subject(),
            claims.email(),
            claims.email_verified(),
            claims.name(),
            claims.preferred_username(),
            other,
            admin,
        );
        said.authenticated_at = claims.auth_time();
        let subject = claims.subject().clone();
        let asked = client.user_info(tokens.access_token().clone(), Some(subject));
        match asked {
            Ok(asked) if said.are_partial(other, admin) => {
                let more: UserInfoClaims<OtherClaims, CoreGenderClaim> = asked
                    .request_async(&self.http)
                    .await
                    .map_err(|error| unusable(&error))?;
                Ok(said.or(Claims::new(
                    more.subject(),
                    more.email(),
                    more.email_verified(),
                    more.name(),
                    more.preferred_username(),
                    more.additional_claims(),
                    admin,
                )))
            }
            _ => Ok(said),
        }
    }

    /// Logs, once, that the provider didn't say when somebody authenticated although it was asked to.
    pub(crate) fn warn_of_undated_claims(&self) {
        self.undated.call_once(|| {
            tracing::warn!(
                "the OpenID Connect provider doesn't say when users authenticated (auth_time), so they can't confirm \
                 sensitive changes there; if it never does, set OIDC_CHECK_AUTH_TIME=false"
            );
        });
    }

    /// Returns whether people can sign out at the provider. Returns `false` if it doesn't respond.
    pub async fn has_sign_out(&self) -> bool {
        let discovered = self.discovered().await;
        discovered.is_ok_and(|discovered| discovered.end_session.is_some())
    }

    /// Returns the URL where somebody signs out at the provider and is then redirected to the pages of this origin.
    /// `None` if the provider doesn't support it (OpenID Connect RP-Initiated Logout 1.0).
    pub async fn sign_out(&self, origin: &str) -> Result<Option<Url>, Refusal> {
        let discovered = self.discovered().await?;
        let Some(end_session) = discovered.end_session.clone() else {
            return Ok(None);
        };
        let back = PostLogoutRedirectUrl::new(format!("{origin}{SIGNED_OUT}"));
        let request = LogoutRequest::from(end_session)
            .set_client_id(self.settings.client_id.clone())
            .set_post_logout_redirect_uri(back.map_err(|error| unusable(&error))?);
        Ok(Some(request.http_get_url()))
    }
}

fn callback(origin: &str) -> Result<RedirectUrl, Refusal> {
    RedirectUrl::new(format!("{origin}{CALLBACK}")).map_err(|error| unusable(&error))
}

fn unusable(error: &dyn std::error::Error) -> Refusal {
    tracing::warn!(
        error = chain(error),
        "the OpenID Connect provider can't be used"
    );
    Refusal::Unavailable
}
