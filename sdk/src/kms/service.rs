//! The three services of a KMS plugin.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use landfast_base::{hex, random};
use landfast_proto::{
    kms::{
        self as wire,
        kms_server::{Kms as KmsService, KmsServer, SERVICE_NAME as KMS},
        signer_opts::Opts,
    },
    metadata::{
        self, MetadataResponse,
        metadata_server::{Metadata, MetadataServer, SERVICE_NAME as METADATA},
    },
    pb::{
        self,
        wrapper_server::{SERVICE_NAME as WRAPPER, Wrapper as WrapperService, WrapperServer},
    },
    wrapping::{RpcOptions, WrapperConfig},
};
use tonic::{Request, Response, Status};
use tower::Service as _;
use zeroize::Zeroizing;

use super::{
    Error, Hash, Key, Kms, KmsOptions, Plugin, SaltLength, SignInput, SignOptions, Wrapper,
    WrapperOptions,
};
use crate::{
    config::object,
    host::LARGEST_MESSAGE,
    logical::complete,
    server::{Life, Product, Reply, service_name},
};

/// What a KMS plugin process serves.
#[derive(Clone)]
pub(crate) struct Services {
    wrapper: WrapperServer<Instances>,
    kms: KmsServer<Instances>,
    metadata: MetadataServer<Instances>,
    instances: Instances,
}

/// Everything that the host has made and not yet given back.
#[derive(Clone)]
struct Instances(Arc<Inner>);

struct Inner {
    plugin: Arc<dyn Plugin>,
    life: Arc<Life>,
    wrappers: Table<dyn Wrapper>,
    sessions: Table<dyn Kms>,
    keys: Table<dyn Key>,
}

/// Instances by an id that nobody can guess.
struct Table<T: ?Sized>(Mutex<HashMap<String, Arc<T>>>);

impl<T: ?Sized> Default for Table<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: ?Sized> Table<T> {
    fn insert(&self, instance: Arc<T>) -> Result<String, Status> {
        let random = random::<16>().map_err(|error| Status::unknown(error.to_string()))?;
        let id = hex(&random);
        self.map().insert(id.clone(), instance);
        Ok(id)
    }

    /// The host shows this status as it is.
    fn find(&self, id: &str) -> Result<Arc<T>, Status> {
        let found = self.map().get(id).cloned();
        found.ok_or_else(|| Status::not_found("instance not found"))
    }

    fn remove(&self, id: &str) -> Option<Arc<T>> {
        self.map().remove(id)
    }

    fn clear(&self) {
        self.map().clear();
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Services {
    pub(crate) fn new(life: Arc<Life>, plugin: Arc<dyn Plugin>) -> Self {
        let instances = Instances(Arc::new(Inner {
            plugin,
            life,
            wrappers: Table::default(),
            sessions: Table::default(),
            keys: Table::default(),
        }));
        Self {
            wrapper: WrapperServer::new(instances.clone())
                .max_decoding_message_size(LARGEST_MESSAGE)
                .max_encoding_message_size(LARGEST_MESSAGE),
            kms: KmsServer::new(instances.clone())
                .max_decoding_message_size(LARGEST_MESSAGE)
                .max_encoding_message_size(LARGEST_MESSAGE),
            metadata: MetadataServer::new(instances.clone()),
            instances,
        }
    }
}

impl Product for Services {
    fn call(&self, request: crate::server::Request) -> Result<Reply, Box<crate::server::Request>> {
        match service_name(&request) {
            WRAPPER => Ok(self.wrapper.clone().call(request)),
            KMS => Ok(self.kms.clone().call(request)),
            METADATA => Ok(self.metadata.clone().call(request)),
            _ => Err(Box::new(request)),
        }
    }

    fn close(&self) {
        self.instances.0.wrappers.clear();
        self.instances.0.sessions.clear();
        self.instances.0.keys.clear();
    }
}

impl Instances {
    /// Runs a call to its end, as [`complete`] says, so that neither a caller who leaves nor a panic does harm elsewhere.
    async fn complete<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let output = complete(None, || self.0.life.work(), call).await;
        let output = output.ok_or_else(|| Status::unknown("internal error"))?;
        output.map(Response::new)
    }
}

#[tonic::async_trait]
impl WrapperService for Instances {
    async fn set_config(
        &self,
        request: Request<pb::SetConfigRequest>,
    ) -> Result<Response<pb::SetConfigResponse>, Status> {
        let inner = Arc::clone(&self.0);
        let options = wrapper_options(request.into_inner().options);
        self.complete(async move {
            let made = inner.plugin.wrapper(options).await?;
            Ok(pb::SetConfigResponse {
                wrapper_id: inner.wrappers.insert(made.wrapper)?,
                // Present even when it says nothing: the host reads it unchecked.
                wrapper_config: Some(WrapperConfig {
                    metadata: made.metadata,
                }),
            })
        })
        .await
    }

    async fn r#type(
        &self,
        request: Request<pb::TypeRequest>,
    ) -> Result<Response<pb::TypeResponse>, Status> {
        let wrapper = self.0.wrappers.find(&request.get_ref().wrapper_id)?;
        Ok(Response::new(pb::TypeResponse {
            r#type: wrapper.kind().to_owned(),
        }))
    }

    async fn key_id(
        &self,
        request: Request<pb::KeyIdRequest>,
    ) -> Result<Response<pb::KeyIdResponse>, Status> {
        let wrapper = self.0.wrappers.find(&request.get_ref().wrapper_id)?;
        self.complete(async move {
            Ok(pb::KeyIdResponse {
                key_id: wrapper.key_id().await?,
            })
        })
        .await
    }

    async fn encrypt(
        &self,
        request: Request<pb::EncryptRequest>,
    ) -> Result<Response<pb::EncryptResponse>, Status> {
        let request = request.into_inner();
        let plaintext = Zeroizing::new(request.plaintext);
        let wrapper = self.0.wrappers.find(&request.wrapper_id)?;
        let options = wrapper_options(request.options);
        self.complete(async move {
            Ok(pb::EncryptResponse {
                ciphertext: Some(wrapper.encrypt(&plaintext, &options).await?),
            })
        })
        .await
    }

    async fn decrypt(
        &self,
        request: Request<pb::DecryptRequest>,
    ) -> Result<Response<pb::DecryptResponse>, Status> {
        let request = request.into_inner();
        let wrapper = self.0.wrappers.find(&request.wrapper_id)?;
        let options = wrapper_options(request.options);
        let blob = request.ciphertext.unwrap_or_default();
        self.complete(async move {
            let mut plaintext = wrapper.decrypt(&blob, &options).await?;
            Ok(pb::DecryptResponse {
                plaintext: std::mem::take(&mut *plaintext),
            })
        })
        .await
    }

    async fn init(
        &self,
        request: Request<pb::InitRequest>,
    ) -> Result<Response<pb::InitResponse>, Status> {
        let request = request.into_inner();
        let wrapper = self.0.wrappers.find(&request.wrapper_id)?;
        let options = wrapper_options(request.options);
        self.complete(async move {
            wrapper.init(&options).await?;
            Ok(pb::InitResponse {})
        })
        .await
    }

    async fn finalize(
        &self,
        request: Request<pb::FinalizeRequest>,
    ) -> Result<Response<pb::FinalizeResponse>, Status> {
        let request = request.into_inner();
        let options = wrapper_options(request.options);
        let wrapper = self.0.wrappers.remove(&request.wrapper_id);
        self.complete(async move {
            if let Some(wrapper) = wrapper {
                wrapper.finalize(&options).await?;
            }
            Ok(pb::FinalizeResponse {})
        })
        .await
    }
}

#[tonic::async_trait]
impl KmsService for Instances {
    async fn open(
        &self,
        request: Request<wire::OpenRequest>,
    ) -> Result<Response<wire::OpenResponse>, Status> {
        let inner = Arc::clone(&self.0);
        let request = request.into_inner();
        let options = KmsOptions {
            config: object(request.config_map),
            allow_environment: request.allow_environment,
        };
        self.complete(async move {
            let session = inner.plugin.open(options).await?;
            Ok(wire::OpenResponse {
                kms_id: inner.sessions.insert(session)?,
            })
        })
        .await
    }

    async fn close(
        &self,
        request: Request<wire::CloseRequest>,
    ) -> Result<Response<wire::CloseResponse>, Status> {
        let session = self.0.sessions.remove(&request.get_ref().kms_id);
        self.complete(async move {
            if let Some(session) = session {
                session.close().await;
            }
            Ok(wire::CloseResponse {})
        })
        .await
    }

    async fn get_key(
        &self,
        request: Request<wire::GetKeyRequest>,
    ) -> Result<Response<wire::GetKeyResponse>, Status> {
        let inner = Arc::clone(&self.0);
        let request = request.into_inner();
        let session = inner.sessions.find(&request.kms_id)?;
        self.complete(async move {
            let key = session.key(object(request.config_map)).await?;
            Ok(wire::GetKeyResponse {
                key_id: inner.keys.insert(key)?,
            })
        })
        .await
    }

    /// May come at any later time, for a key of an earlier process too.
    async fn close_key(
        &self,
        request: Request<wire::CloseKeyRequest>,
    ) -> Result<Response<wire::CloseKeyResponse>, Status> {
        self.0.keys.remove(&request.get_ref().key_id);
        Ok(Response::new(wire::CloseKeyResponse {}))
    }

    async fn encrypt(
        &self,
        request: Request<wire::EncryptRequest>,
    ) -> Result<Response<wire::EncryptResponse>, Status> {
        let request = request.into_inner();
        let data = Zeroizing::new(request.data);
        let key = self.0.keys.find(&request.key_id)?;
        self.complete(async move {
            Ok(wire::EncryptResponse {
                ciphertext: key.encrypt(&data, &request.aad).await?,
            })
        })
        .await
    }

    async fn decrypt(
        &self,
        request: Request<wire::DecryptRequest>,
    ) -> Result<Response<wire::DecryptResponse>, Status> {
        let request = request.into_inner();
        let key = self.0.keys.find(&request.key_id)?;
        self.complete(async move {
            let mut plaintext = key.decrypt(&request.data, &request.aad).await?;
            Ok(wire::DecryptResponse {
                plaintext: std::mem::take(&mut *plaintext),
            })
        })
        .await
    }

    async fn sign(
        &self,
        request: Request<wire::SignRequest>,
    ) -> Result<Response<wire::SignResponse>, Status> {
        let request = request.into_inner();
        let key = self.0.keys.find(&request.key_id)?;
        self.complete(async move {
            let opts = request.opts.as_ref();
            let input = sign_input(&request.data, request.prehashed, request.hash, opts)?;
            Ok(wire::SignResponse {
                signature: key.sign(input).await?,
            })
        })
        .await
    }

    async fn verify(
        &self,
        request: Request<wire::VerifyRequest>,
    ) -> Result<Response<wire::VerifyResponse>, Status> {
        let request = request.into_inner();
        let key = self.0.keys.find(&request.key_id)?;
        self.complete(async move {
            let opts = request.opts.as_ref();
            let input = sign_input(&request.data, request.prehashed, request.hash, opts)?;
            key.verify(input, &request.signature).await?;
            Ok(wire::VerifyResponse {})
        })
        .await
    }

    async fn export_public(
        &self,
        request: Request<wire::ExportPublicRequest>,
    ) -> Result<Response<wire::ExportPublicResponse>, Status> {
        let key = self.0.keys.find(&request.get_ref().key_id)?;
        self.complete(async move {
            Ok(wire::ExportPublicResponse {
                pkix_asn1_der: key.export_public().await?,
            })
        })
        .await
    }
}

#[tonic::async_trait]
impl Metadata for Instances {
    async fn get(&self, _: Request<metadata::Empty>) -> Result<Response<MetadataResponse>, Status> {
        let fields = self.0.plugin.sensitive_fields();
        Ok(Response::new(MetadataResponse {
            sensitive_kms_fields: fields.kms,
            sensitive_key_fields: fields.key,
        }))
    }
}

/// The host shows the text of code `Unknown` as it is, and gives the other two a meaning.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Failed(_) => Self::unknown(text),
            Error::InvalidSignature => Self::invalid_argument(text),
            Error::Unimplemented => Self::unimplemented(text),
        }
    }
}

fn wrapper_options(options: Option<RpcOptions>) -> WrapperOptions {
    let options = options.unwrap_or_default();
    WrapperOptions {
        key_id: options.with_key_id,
        aad: options.with_aad,
        config: options.with_config_map,
        allow_environment: !options.with_disallow_env_vars,
    }
}

/// What two messages, to sign and to verify, have in common.
fn sign_input<'a>(
    data: &'a [u8],
    prehashed: bool,
    hash: i32,
    options: Option<&'a wire::SignerOpts>,
) -> Result<SignInput<'a>, Error> {
    Ok(SignInput {
        data,
        prehashed,
        hash: Hash::from_go(hash)?,
        options: sign_options(options)?,
    })
}

fn sign_options(options: Option<&wire::SignerOpts>) -> Result<SignOptions<'_>, Error> {
    Ok(match options.and_then(|options| options.opts.as_ref()) {
        None => SignOptions::None,
        Some(Opts::Ed25519(options)) => SignOptions::Ed25519 {
            context: &options.context,
        },
        Some(Opts::Pss(options)) => SignOptions::Pss(match options.salt_length {
            0 => SaltLength::Auto,
            -1 => SaltLength::Hash,
            other => SaltLength::Bytes(
                other
                    .try_into()
                    .map_err(|_| Error::Failed(format!("invalid salt length {other}")))?,
            ),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salt_lengths_have_two_special_values() {
        let read = |salt_length| {
            let options = wire::SignerOpts {
                opts: Some(Opts::Pss(wire::signer_opts::Pss { salt_length })),
            };
            match sign_options(Some(&options)) {
                Ok(SignOptions::Pss(length)) => Some(length),
                _ => None,
            }
        };
        assert_eq!(read(0), Some(SaltLength::Auto));
        assert_eq!(read(-1), Some(SaltLength::Hash));
        assert_eq!(read(20), Some(SaltLength::Bytes(20)));
        assert_eq!(read(-2), None);
        assert_eq!(sign_options(None).ok(), Some(SignOptions::None));
    }
}
