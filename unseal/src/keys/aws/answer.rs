//! A limit on what an endpoint may answer.

use std::error::Error as StdError;

use aws_sdk_kms::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_kms::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// Bytes of an answer that are read. The longest that AWS KMS and the Security Token Service give have a few thousand.
const LIMIT: usize = 1024 * 1024;

/// Ends the reading of an answer at [`LIMIT`]: the SDK would keep all that an endpoint sends in memory.
#[derive(Debug)]
pub(super) struct LimitAnswer;

impl Intercept for LimitAnswer {
    fn name(&self) -> &'static str {
        "LimitAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, LIMIT));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{Environment, Limits, ParseOptions};
    use crate::error::{Class, Error};
    use crate::keys::aws::AwsConfig;
    use crate::keys::aws::Session;

    /// Answers every request with 200 and a body without an end. Gives its URL, and the most bytes that one connection took.
    async fn endless() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let most = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&most);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 16 * 1024]).await;
                    let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"x\": \"";
                    let mut sent = 0;
                    let mut part: &[u8] = head;
                    while let Ok(written) = stream.write(part).await {
                        sent += written;
                        seen.fetch_max(sent, Ordering::Relaxed);
                        part = &[b'a'; 64 * 1024];
                    }
                });
            }
        });
        (url, most)
    }

    /// A session whose attempts have enough time to read far more than the limit.
    async fn session(url: &str) -> Session {
        let stanza = [
            ("kms_key_id", "alias/x"),
            ("region", "eu-central-1"),
            ("endpoint", url),
            ("sts_endpoint", url),
            ("access_key", "AKIAEXAMPLE"),
            ("secret_key", "secret"),
        ];
        let stanza: BTreeMap<_, _> = stanza
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let config = AwsConfig::parse(&stanza, &Environment::empty(), &ParseOptions::default());
        let limits = Limits {
            attempt: Duration::from_secs(2),
            call: Duration::from_secs(5),
            attempts: 2,
            pause: Duration::from_millis(1),
        };
        let session = Session::open(config.expect("parses"), limits).await;
        session.expect("opens")
    }

    fn is_cut_short(error: &Error, most: &AtomicUsize) {
        let text = error.to_string();
        assert_eq!(error.class(), Class::Outage, "{text}");
        assert!(
            text.contains("unreadable answer") && text.contains("length limit exceeded"),
            "{text}"
        );
        // What the limit lets through, and what was under way in the buffers of both ends.
        let most = most.load(Ordering::Relaxed);
        assert!((LIMIT..LIMIT + (16 << 20)).contains(&most), "{most}");
    }

    #[tokio::test]
    async fn an_endless_answer_of_the_key_service_is_cut_short() {
        let (url, most) = endless().await;
        let session = session(&url).await;
        let key = crate::keys::aws::KeyReference::parse("alias/x").expect("parses");
        let error = session.describe(&key).await.expect_err("no answer");
        is_cut_short(&error, &most);
    }

    #[tokio::test]
    async fn an_endless_answer_of_the_token_service_is_cut_short() {
        let (url, most) = endless().await;
        let error = session(&url).await.identify().await.expect_err("no answer");
        is_cut_short(&error, &most);
    }
}
