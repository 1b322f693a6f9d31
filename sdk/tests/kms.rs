//! KMS plugins against a fake host.

#[allow(dead_code, reason = "each test program uses a part")]
mod fake_host;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use landfast_proto::{
    kms::{self as wire, kms_client::KmsClient},
    metadata::{self, metadata_client::MetadataClient},
    pb::{self, wrapper_client::WrapperClient},
    wrapping::RpcOptions,
};
use landfast_sdk::{
    Options, PluginKind, Server,
    kms::{
        BlobInfo, ConfiguredWrapper, Error, Hash, Key, Kms, KmsOptions, Plugin, SensitiveFields,
        SignInput, SignOptions, Wrapper, WrapperOptions,
    },
};
use prost_types::{Struct, Value, value::Kind};
use tonic::{Code, transport::Channel};
use zeroize::Zeroizing;

use self::fake_host::{FakeHost, Handshake};

/// Turns bytes around, which is all the secrecy that a test needs.
struct Reversing;

#[async_trait]
impl Plugin for Reversing {
    async fn wrapper(&self, options: WrapperOptions) -> Result<ConfiguredWrapper, Error> {
        if options
            .config
            .get("broken")
            .is_some_and(|value| value == "1")
        {
            return Err(Error::Failed("the seal is broken".into()));
        }
        Ok(ConfiguredWrapper {
            wrapper: Arc::new(Self),
            metadata: HashMap::new(),
        })
    }

    async fn open(&self, options: KmsOptions) -> Result<Arc<dyn Kms>, Error> {
        assert!(!options.allow_environment);
        assert_eq!(options.config["port"], 5);
        Ok(Arc::new(Self))
    }

    fn sensitive_fields(&self) -> SensitiveFields {
        SensitiveFields {
            kms: vec!["token".into()],
            key: vec!["pin".into()],
        }
    }
}

#[async_trait]
impl Wrapper for Reversing {
    fn kind(&self) -> &str {
        "reversing"
    }

    async fn key_id(&self) -> Result<String, Error> {
        Ok("key".into())
    }

    async fn encrypt(&self, plaintext: &[u8], _: &WrapperOptions) -> Result<BlobInfo, Error> {
        assert_ne!(plaintext, b"panic");
        Ok(BlobInfo {
            ciphertext: plaintext.iter().rev().copied().collect(),
            ..BlobInfo::default()
        })
    }

    async fn decrypt(
        &self,
        blob: &BlobInfo,
        _: &WrapperOptions,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(Zeroizing::new(
            blob.ciphertext.iter().rev().copied().collect(),
        ))
    }
}

#[async_trait]
impl Kms for Reversing {
    async fn key(
        &self,
        config: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Arc<dyn Key>, Error> {
        assert_eq!(config["name"], "k");
        Ok(Arc::new(Self))
    }
}

#[async_trait]
impl Key for Reversing {
    async fn sign(&self, input: SignInput<'_>) -> Result<Vec<u8>, Error> {
        assert_eq!(input.hash, Some(Hash::Sha256));
        assert_eq!(input.options, SignOptions::None);
        Ok(input.data.iter().rev().copied().collect())
    }

    async fn verify(&self, input: SignInput<'_>, signature: &[u8]) -> Result<(), Error> {
        if self.sign(input).await? == signature {
            Ok(())
        } else {
            Err(Error::InvalidSignature)
        }
    }
}

async fn start() -> (FakeHost, Channel) {
    let host = FakeHost::new();
    let launch = host.launch(PluginKind::Kms);
    let server = Server::kms(&launch, Options::default(), Arc::new(Reversing)).unwrap();
    let plugin = Handshake::parse(server.handshake_line());
    assert_eq!(plugin.version, "1");
    tokio::spawn(server.run());
    let channel = host.channel(&plugin, true).await.unwrap();
    (host, channel)
}

fn config(broken: &str) -> pb::SetConfigRequest {
    pb::SetConfigRequest {
        options: Some(RpcOptions {
            with_config_map: HashMap::from([("broken".to_owned(), broken.to_owned())]),
            ..RpcOptions::default()
        }),
    }
}

#[tokio::test]
async fn a_wrapper_is_made_used_and_given_back() {
    let (_host, channel) = start().await;
    let mut client = WrapperClient::new(channel);
    let made = client.set_config(config("0")).await.unwrap().into_inner();
    // The host dereferences it unchecked.
    assert!(made.wrapper_config.is_some());
    let wrapper_id = made.wrapper_id;

    let kind = client.r#type(pb::TypeRequest {
        wrapper_id: wrapper_id.clone(),
    });
    assert_eq!(kind.await.unwrap().get_ref().r#type, "reversing");
    let encrypt = |plaintext: &[u8]| pb::EncryptRequest {
        wrapper_id: wrapper_id.clone(),
        plaintext: plaintext.into(),
        options: None,
    };
    let failed = client.encrypt(encrypt(b"panic")).await.unwrap_err();
    assert_eq!(
        (failed.code(), failed.message()),
        (Code::Unknown, "internal error")
    );
    let blob = client
        .encrypt(encrypt(b"abc"))
        .await
        .unwrap()
        .into_inner()
        .ciphertext;
    assert_eq!(blob.as_ref().unwrap().ciphertext, b"cba");
    let request = pb::DecryptRequest {
        wrapper_id: wrapper_id.clone(),
        ciphertext: blob,
        options: None,
    };
    assert_eq!(
        client.decrypt(request).await.unwrap().get_ref().plaintext,
        b"abc"
    );

    let finalize = pb::FinalizeRequest {
        wrapper_id: wrapper_id.clone(),
        options: None,
    };
    client.finalize(finalize.clone()).await.unwrap();
    client
        .finalize(finalize)
        .await
        .expect("a second time does no harm");
    let gone = client
        .key_id(pb::KeyIdRequest { wrapper_id })
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn the_text_of_a_failure_reaches_the_operator() {
    let (_host, channel) = start().await;
    let error = WrapperClient::new(channel)
        .set_config(config("1"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::Unknown, "the seal is broken")
    );
}

#[tokio::test]
async fn keys_sign_verify_and_are_closed() {
    let (_host, channel) = start().await;
    let mut client = KmsClient::new(channel.clone());
    let number = |number| Value {
        kind: Some(Kind::NumberValue(number)),
    };
    let text = |text: &str| Value {
        kind: Some(Kind::StringValue(text.into())),
    };
    let object = |name: &str, value| {
        Some(Struct {
            fields: [(name.to_owned(), value)].into(),
        })
    };

    let open = wire::OpenRequest {
        allow_environment: false,
        config_map: object("port", number(5.0)),
    };
    let kms_id = client.open(open).await.unwrap().into_inner().kms_id;
    let key = wire::GetKeyRequest {
        kms_id: kms_id.clone(),
        config_map: object("name", text("k")),
    };
    let key_id = client.get_key(key).await.unwrap().into_inner().key_id;

    let sign = wire::SignRequest {
        key_id: key_id.clone(),
        data: b"abc".into(),
        hash: 5,
        ..Default::default()
    };
    let signature = client.sign(sign).await.unwrap().into_inner().signature;
    assert_eq!(signature, b"cba");
    let verify = |signature: &[u8]| wire::VerifyRequest {
        key_id: key_id.clone(),
        data: b"abc".into(),
        hash: 5,
        signature: signature.into(),
        ..Default::default()
    };
    client.verify(verify(b"cba")).await.unwrap();
    let bad = client.verify(verify(b"abc")).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    let missing = client.export_public(wire::ExportPublicRequest {
        key_id: key_id.clone(),
    });
    assert_eq!(missing.await.unwrap_err().code(), Code::Unimplemented);

    for key_id in [key_id.clone(), "of an earlier process".into()] {
        client
            .close_key(wire::CloseKeyRequest { key_id })
            .await
            .unwrap();
    }
    client.close(wire::CloseRequest { kms_id }).await.unwrap();
    assert_eq!(
        client.verify(verify(b"cba")).await.unwrap_err().code(),
        Code::NotFound
    );

    let fields = MetadataClient::new(channel)
        .get(metadata::Empty {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(fields.sensitive_kms_fields, ["token"]);
    assert_eq!(fields.sensitive_key_fields, ["pin"]);
}
