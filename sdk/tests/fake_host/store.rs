//! The storage and the system view of one mount.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use landfast_proto::{
    logical,
    pb::{self, storage_server::Storage, system_view_server::SystemView},
};
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};

/// A key and its value, or none to delete it.
type Write = (String, Option<Vec<u8>>);

/// Shared by everybody who looks at it.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    values: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Writes of open transactions, by name.
    transactions: Mutex<BTreeMap<String, Vec<Write>>>,
    begun: AtomicUsize,
    connections: watch::Sender<usize>,
    /// Vault: neither transactions nor pages.
    vault: bool,
    /// Calls of what Vault does not know.
    unknown: AtomicUsize,
    read_only: bool,
    /// Reading the key `gate` takes a permit.
    gate: Semaphore,
    /// Requests that wait at the gate, or have passed it.
    at_gate: watch::Sender<usize>,
    changed: watch::Sender<()>,
}

impl Store {
    pub(crate) fn openbao() -> Self {
        Self::new(false, false)
    }

    pub(crate) fn vault() -> Self {
        Self::new(true, false)
    }

    pub(crate) fn read_only() -> Self {
        Self::new(false, true)
    }

    fn new(vault: bool, read_only: bool) -> Self {
        Self(Arc::new(Inner {
            values: Mutex::default(),
            transactions: Mutex::default(),
            begun: AtomicUsize::new(0),
            connections: watch::Sender::new(0),
            vault,
            unknown: AtomicUsize::new(0),
            read_only,
            gate: Semaphore::new(0),
            at_gate: watch::Sender::new(0),
            changed: watch::Sender::new(()),
        }))
    }

    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let values = self.0.values.lock().unwrap();
        values
            .get(key)
            .map(|value| String::from_utf8(value.clone()).unwrap())
    }

    pub(crate) fn connections(&self) -> usize {
        *self.0.connections.borrow()
    }

    pub(crate) fn open_transactions(&self) -> usize {
        self.0.transactions.lock().unwrap().len()
    }

    pub(crate) fn begun_transactions(&self) -> usize {
        self.0.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn unknown_calls(&self) -> usize {
        self.0.unknown.load(Ordering::Relaxed)
    }

    pub(crate) fn open_gate(&self) {
        self.0.gate.add_permits(1);
    }

    /// Waits until so many requests have come to the gate.
    pub(crate) async fn at_gate(&self, count: usize) {
        self.0
            .at_gate
            .subscribe()
            .wait_for(|now| *now >= count)
            .await
            .unwrap();
    }

    /// Waits until the store is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&Self) -> bool) {
        let mut changed = self.0.changed.subscribe();
        while !wanted(self) {
            changed.changed().await.unwrap();
        }
    }

    pub(super) fn connected(&self) {
        self.0.connections.send_modify(|count| *count += 1);
        self.0.changed.send_replace(());
    }

    fn write(&self, txn: &str, key: String, value: Option<Vec<u8>>) -> String {
        if self.0.read_only {
            return "cannot write to readonly storage".into();
        }
        if let Some(writes) = self.0.transactions.lock().unwrap().get_mut(txn) {
            writes.push((key, value));
            return String::new();
        }
        let mut values = self.0.values.lock().unwrap();
        match value {
            Some(value) => values.insert(key, value),
            None => values.remove(&key),
        };
        drop(values);
        self.0.changed.send_replace(());
        String::new()
    }

    fn children(&self, prefix: &str) -> Vec<String> {
        let values = self.0.values.lock().unwrap();
        let mut children: Vec<String> = values
            .keys()
            .filter_map(|key| key.strip_prefix(prefix))
            .map(|rest| rest.split_inclusive('/').next().unwrap().to_owned())
            .collect();
        children.dedup();
        children
    }

    fn only_openbao(&self) -> Result<(), Status> {
        if self.0.vault {
            self.0.unknown.fetch_add(1, Ordering::Relaxed);
            return Err(Status::unimplemented("unknown method"));
        }
        Ok(())
    }

    fn begin(&self) -> Result<Response<pb::StorageBeginTxReply>, Status> {
        self.only_openbao()?;
        let txn = format!("txn-{}", self.0.begun.fetch_add(1, Ordering::Relaxed));
        self.0
            .transactions
            .lock()
            .unwrap()
            .insert(txn.clone(), Vec::new());
        Ok(Response::new(pb::StorageBeginTxReply {
            txn,
            err: String::new(),
        }))
    }

    fn end(&self, txn: &str) -> Result<Vec<Write>, Status> {
        self.only_openbao()?;
        let ended = self.0.transactions.lock().unwrap().remove(txn);
        self.0.changed.send_replace(());
        ended.ok_or_else(|| Status::unknown("missing storage implementation"))
    }
}

#[tonic::async_trait]
impl Storage for Store {
    async fn list(
        &self,
        request: Request<pb::StorageListArgs>,
    ) -> Result<Response<pb::StorageListReply>, Status> {
        let keys = self.children(&request.get_ref().prefix);
        Ok(Response::new(pb::StorageListReply {
            keys,
            err: String::new(),
        }))
    }

    async fn get(
        &self,
        request: Request<pb::StorageGetArgs>,
    ) -> Result<Response<pb::StorageGetReply>, Status> {
        let key = request.into_inner().key;
        if key == "gate" {
            self.0.at_gate.send_modify(|count| *count += 1);
            self.0.gate.acquire().await.unwrap().forget();
        }
        let value = self.0.values.lock().unwrap().get(&key).cloned();
        let entry = value.map(|value| pb::StorageEntry {
            key,
            value: value.into(),
            seal_wrap: false,
        });
        Ok(Response::new(pb::StorageGetReply {
            entry,
            err: String::new(),
        }))
    }

    async fn put(
        &self,
        request: Request<pb::StoragePutArgs>,
    ) -> Result<Response<pb::StoragePutReply>, Status> {
        let args = request.into_inner();
        let entry = args.entry.unwrap();
        let err = self.write(&args.txn, entry.key, Some(entry.value.into()));
        Ok(Response::new(pb::StoragePutReply { err }))
    }

    async fn delete(
        &self,
        request: Request<pb::StorageDeleteArgs>,
    ) -> Result<Response<pb::StorageDeleteReply>, Status> {
        let args = request.into_inner();
        let err = self.write(&args.txn, args.key, None);
        Ok(Response::new(pb::StorageDeleteReply { err }))
    }

    async fn list_page(
        &self,
        request: Request<pb::StorageListPageArgs>,
    ) -> Result<Response<pb::StorageListReply>, Status> {
        self.only_openbao()?;
        let args = request.into_inner();
        let mut keys = self.children(&args.prefix);
        keys.retain(|key| *key > args.after);
        if args.limit > 0 {
            keys.truncate(usize::try_from(args.limit).unwrap());
        }
        Ok(Response::new(pb::StorageListReply {
            keys,
            err: String::new(),
        }))
    }

    async fn is_transactional(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::StorageIsTransactionalReply>, Status> {
        self.only_openbao()?;
        Ok(Response::new(pb::StorageIsTransactionalReply {
            transactional: true,
        }))
    }

    async fn begin_read_only_tx(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::StorageBeginTxReply>, Status> {
        self.begin()
    }

    async fn begin_tx(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::StorageBeginTxReply>, Status> {
        self.begin()
    }

    async fn commit(
        &self,
        request: Request<pb::StorageCommitTxArgs>,
    ) -> Result<Response<pb::StorageCommitTxReply>, Status> {
        for (key, value) in self.end(&request.get_ref().txn)? {
            self.write("", key, value);
        }
        Ok(Response::new(pb::StorageCommitTxReply::default()))
    }

    async fn rollback(
        &self,
        request: Request<pb::StorageRollbackTxArgs>,
    ) -> Result<Response<pb::StorageRollbackTxReply>, Status> {
        self.end(&request.get_ref().txn)?;
        Ok(Response::new(pb::StorageRollbackTxReply::default()))
    }
}

/// The calls that the tests do not make.
fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not a part of the fake host"))
}

#[tonic::async_trait]
impl SystemView for Store {
    async fn max_lease_ttl(&self, _: Request<pb::Empty>) -> Result<Response<pb::TtlReply>, Status> {
        Ok(Response::new(pb::TtlReply {
            ttl: 3_600_000_000_000,
        }))
    }

    async fn entity_info(
        &self,
        request: Request<pb::EntityInfoArgs>,
    ) -> Result<Response<pb::EntityInfoReply>, Status> {
        let known = request.get_ref().entity_id == "one";
        let entity = known.then(|| logical::Entity {
            name: "entity one".into(),
            ..logical::Entity::default()
        });
        Ok(Response::new(pb::EntityInfoReply {
            entity,
            err: String::new(),
        }))
    }

    async fn default_lease_ttl(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::TtlReply>, Status> {
        unused()
    }

    async fn tainted(&self, _: Request<pb::Empty>) -> Result<Response<pb::TaintedReply>, Status> {
        unused()
    }

    async fn caching_disabled(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::CachingDisabledReply>, Status> {
        unused()
    }

    async fn replication_state(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::ReplicationStateReply>, Status> {
        unused()
    }

    async fn response_wrap_data(
        &self,
        _: Request<pb::ResponseWrapDataArgs>,
    ) -> Result<Response<pb::ResponseWrapDataReply>, Status> {
        unused()
    }

    async fn mlock_enabled(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::MlockEnabledReply>, Status> {
        unused()
    }

    async fn local_mount(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::LocalMountReply>, Status> {
        unused()
    }

    async fn plugin_env(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::PluginEnvReply>, Status> {
        unused()
    }

    async fn groups_for_entity(
        &self,
        _: Request<pb::EntityInfoArgs>,
    ) -> Result<Response<pb::GroupsForEntityReply>, Status> {
        unused()
    }

    async fn generate_password_from_policy(
        &self,
        _: Request<pb::GeneratePasswordFromPolicyRequest>,
    ) -> Result<Response<pb::GeneratePasswordFromPolicyReply>, Status> {
        unused()
    }

    async fn cluster_info(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::ClusterInfoReply>, Status> {
        unused()
    }

    async fn generate_identity_token(
        &self,
        _: Request<pb::GenerateIdentityTokenRequest>,
    ) -> Result<Response<pb::GenerateIdentityTokenResponse>, Status> {
        unused()
    }

    async fn register_rotation_job(
        &self,
        _: Request<pb::RegisterRotationJobRequest>,
    ) -> Result<Response<pb::RegisterRotationJobResponse>, Status> {
        unused()
    }

    async fn deregister_rotation_job(
        &self,
        _: Request<pb::DeregisterRotationJobRequest>,
    ) -> Result<Response<pb::Empty>, Status> {
        unused()
    }
}
