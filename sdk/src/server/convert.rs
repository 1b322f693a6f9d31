//! Between the messages of the wire and the values of [`crate::logical`].

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use landfast_proto::{logical, pb};
use prost_types::Timestamp;

use crate::host::alias as alias_in;
use crate::logical::{
    Alias, Auth, Cidrs, Error, ExistsReply, LeaseContext, Login, RawLease, RawReply, RawRequest,
    RawResponse, ReplyError, SpecialPaths, TokenType,
};

/// Seconds of Go's zero time, which stands for "not set": the first of January of the year 1.
const GO_ZERO_TIME: i64 = -62_135_596_800;
/// The error type of a failure that is ours.
const INTERNAL: u32 = 2;
/// The error type of a failure that its text describes.
const UNKNOWN: u32 = 0;

/// A request of the host. Nothing in it is looked into, but for the small JSON text that a lease carries.
pub(crate) fn request(request: pb::Request) -> RawRequest {
    let remote_addr = request
        .connection
        .map(|connection| connection.remote_addr)
        .unwrap_or_default();
    RawRequest {
        id: request.id,
        operation: request.operation,
        path: request.path,
        data: request.data,
        headers: headers_in(request.headers),
        mount_point: request.mount_point,
        mount_type: request.mount_type,
        mount_accessor: request.mount_accessor,
        display_name: request.display_name,
        entity_id: request.entity_id,
        client_token_accessor: request.client_token_accessor,
        unauthenticated: request.unauthenticated,
        remote_addr,
        wrap_ttl: request
            .wrap_info
            .map(|info| duration(info.ttl))
            .filter(|ttl| !ttl.is_zero()),
        lease: request.secret.map(lease_in),
        login: request.auth.map(|auth| Box::new(login_in(auth))),
    }
}

/// The answer to a request. A response that is absent stays absent: to the host that is not the same as an empty one.
pub(crate) fn reply(reply: RawReply) -> pb::HandleRequestReply {
    pb::HandleRequestReply {
        response: reply.response.map(response),
        err: reply.error.map(error),
    }
}

/// The answer to an existence check.
pub(crate) fn exists(reply: ExistsReply) -> pb::HandleExistenceCheckReply {
    pb::HandleExistenceCheckReply {
        check_found: reply.check_found,
        exists: reply.exists,
        err: reply.error.map(error),
    }
}

/// The special paths.
pub(crate) fn paths(paths: &SpecialPaths) -> pb::Paths {
    pb::Paths {
        root: paths.root.clone(),
        unauthenticated: paths.unauthenticated.clone(),
        local_storage: paths.local_storage.clone(),
        seal_wrap_storage: paths.seal_wrap_storage.clone(),
        ..pb::Paths::default()
    }
}

/// An error value.
pub(crate) fn error(error: ReplyError) -> pb::ProtoError {
    pb::ProtoError {
        err_type: error.kind,
        err_msg: error.message,
        err_code: error.code,
    }
}

/// What the caller gets when a handler has failed in a way that only the log tells.
pub(crate) fn internal_error() -> pb::ProtoError {
    pb::ProtoError {
        err_type: INTERNAL,
        err_msg: "internal error".into(),
        err_code: 0,
    }
}

/// The error value of a failure outside of a request. What only the log may tell goes there.
pub(crate) fn failure(error: Error) -> pb::ProtoError {
    if let Error::Internal { public, log } = &error {
        tracing::error!(error = %log, "{public}");
    }
    pb::ProtoError {
        err_type: UNKNOWN,
        err_msg: error.to_string(),
        err_code: 0,
    }
}

fn response(response: RawResponse) -> pb::Response {
    // The host cannot decode an empty text.
    let data = if response.data.is_empty() {
        Bytes::from_static(b"null")
    } else {
        response.data
    };
    pb::Response {
        data,
        warnings: response.warnings,
        headers: headers_out(response.headers),
        secret: response.lease.map(lease_out),
        auth: response.auth.map(|login| login_out(*login)),
        wrap_info: response.wrap_ttl.map(|ttl| pb::ResponseWrapInfo {
            ttl: nanoseconds(ttl),
            // Vault fails the request without one, whatever it says.
            creation_time: Some(now()),
            ..pb::ResponseWrapInfo::default()
        }),
        ..pb::Response::default()
    }
}

fn lease_in(secret: pb::Secret) -> LeaseContext {
    let options = secret.lease_options.unwrap_or_default();
    LeaseContext {
        id: secret.lease_id,
        ttl: duration(options.ttl),
        max_ttl: duration(options.max_ttl),
        renewable: options.renewable,
        increment: duration(options.increment),
        issued_at: issued_at(options.issue_time),
        // What is not an object was not written by us.
        internal: serde_json::from_str(&secret.internal_data).unwrap_or_default(),
    }
}

fn lease_out(lease: RawLease) -> pb::Secret {
    // Both must be valid: the host fails the whole request otherwise.
    let internal_data = if lease.internal_data.is_empty() {
        "{}".into()
    } else {
        lease.internal_data
    };
    pb::Secret {
        lease_options: Some(pb::LeaseOptions {
            ttl: nanoseconds(lease.ttl),
            renewable: lease.renewable,
            increment: 0,
            issue_time: Some(now()),
            max_ttl: nanoseconds(lease.max_ttl),
        }),
        internal_data,
        lease_id: String::new(),
    }
}

fn login_in(auth: pb::Auth) -> Login {
    let options = auth.lease_options.unwrap_or_default();
    Login {
        increment: duration(options.increment),
        issued_at: issued_at(options.issue_time),
        entity_id: auth.entity_id,
        accessor: auth.accessor,
        token_policies: auth.token_policies,
        identity_policies: auth.identity_policies,
        auth: Auth {
            policies: auth.policies,
            no_default_policy: auth.no_default_policy,
            display_name: auth.display_name,
            metadata: auth.metadata.into_iter().collect(),
            alias: auth.alias.map(alias_in),
            group_aliases: auth.group_aliases.into_iter().map(alias_in).collect(),
            ttl: duration(options.ttl),
            max_ttl: duration(options.max_ttl),
            explicit_max_ttl: duration(auth.explicit_max_ttl),
            period: duration(auth.period),
            renewable: options.renewable,
            num_uses: u32::try_from(auth.num_uses).unwrap_or(0),
            bound_cidrs: Cidrs::of_host(auth.bound_cidrs),
            token_type: TokenType::of_number(auth.token_type),
            // What is not an object was not written by us.
            internal: serde_json::from_str(&auth.internal_data).unwrap_or_default(),
        },
    }
}

fn login_out(login: Login) -> pb::Auth {
    let auth = login.auth;
    pb::Auth {
        lease_options: Some(pb::LeaseOptions {
            ttl: nanoseconds(auth.ttl),
            renewable: auth.renewable,
            increment: nanoseconds(login.increment),
            // The host refuses a login without one. That of a token that exists stays.
            issue_time: Some(
                login
                    .issued_at
                    .map_or_else(now, |seconds| Timestamp { seconds, nanos: 0 }),
            ),
            max_ttl: nanoseconds(auth.max_ttl),
        }),
        internal_data: serde_json::Value::Object(auth.internal).to_string(),
        display_name: auth.display_name,
        policies: auth.policies,
        metadata: auth.metadata.into_iter().collect(),
        client_token: String::new(),
        accessor: login.accessor,
        period: nanoseconds(auth.period),
        num_uses: i64::from(auth.num_uses),
        entity_id: login.entity_id,
        alias: auth.alias.map(alias_out),
        group_aliases: auth.group_aliases.into_iter().map(alias_out).collect(),
        bound_cidrs: auth.bound_cidrs.as_slice().to_vec(),
        token_policies: login.token_policies,
        identity_policies: login.identity_policies,
        explicit_max_ttl: nanoseconds(auth.explicit_max_ttl),
        token_type: auth.token_type.number(),
        no_default_policy: auth.no_default_policy,
    }
}

fn alias_out(alias: Alias) -> logical::Alias {
    logical::Alias {
        id: alias.id,
        mount_type: alias.mount_type,
        mount_accessor: alias.mount_accessor,
        name: alias.name,
        metadata: alias.metadata.into_iter().collect(),
        custom_metadata: alias.custom_metadata.into_iter().collect(),
        namespace_id: alias.namespace_id,
        local: alias.local,
    }
}

fn issued_at(time: Option<Timestamp>) -> Option<i64> {
    time.map(|time| time.seconds)
        .filter(|seconds| *seconds != GO_ZERO_TIME)
}

fn headers_in(headers: HashMap<String, pb::Header>) -> Vec<(String, Vec<String>)> {
    headers
        .into_iter()
        .map(|(name, values)| (name, values.header))
        .collect()
}

fn headers_out(headers: Vec<(String, Vec<String>)>) -> HashMap<String, pb::Header> {
    headers
        .into_iter()
        .map(|(name, header)| (name, pb::Header { header }))
        .collect()
}

/// Durations are nanoseconds; a negative one means as little as none.
fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        // Fewer than a milliard, so that they fit.
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_response_stays_absent_and_an_empty_one_is_never_an_empty_text() {
        let absent = reply(RawReply::default());
        assert_eq!(absent.response, None);
        let empty = reply(RawReply {
            response: Some(RawResponse::default()),
            error: None,
        });
        assert_eq!(empty.response.unwrap().data, "null");
    }

    #[test]
    fn a_lease_always_has_a_time_and_valid_internal_data() {
        let reply = reply(RawReply {
            response: Some(RawResponse {
                lease: Some(RawLease {
                    ttl: Duration::from_secs(60),
                    ..RawLease::default()
                }),
                wrap_ttl: Some(Duration::from_secs(5)),
                ..RawResponse::default()
            }),
            error: None,
        });
        let response = reply.response.unwrap();
        let secret = response.secret.unwrap();
        assert_eq!(secret.internal_data, "{}");
        let options = secret.lease_options.unwrap();
        assert_eq!(options.ttl, 60_000_000_000);
        assert!(options.issue_time.unwrap().seconds > 0);
        assert!(response.wrap_info.unwrap().creation_time.is_some());
    }

    #[test]
    fn hostile_numbers_of_a_lease_become_none() {
        let secret = pb::Secret {
            lease_options: Some(pb::LeaseOptions {
                ttl: i64::MIN,
                increment: -1,
                issue_time: Some(Timestamp {
                    seconds: GO_ZERO_TIME,
                    nanos: 0,
                }),
                ..pb::LeaseOptions::default()
            }),
            internal_data: "[1".into(),
            lease_id: "x".into(),
        };
        let raw = request(pb::Request {
            secret: Some(secret),
            ..pb::Request::default()
        });
        let lease = raw.lease.unwrap();
        assert_eq!(
            (lease.ttl, lease.increment),
            (Duration::ZERO, Duration::ZERO)
        );
        assert_eq!(lease.issued_at, None);
        assert!(lease.internal.is_empty());
    }
}
