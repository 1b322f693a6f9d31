//! `config/seal`, `seal/status` and `seal/migrate`: what wraps the CA keys of the mount, and bringing stored keys there.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use landfast_sdk::logical::{CommaList, Cx, Error, NoFields, Response};
use landfast_unseal::keys::Kind;
use landfast_unseal::sealed::MOST_WRAPS;

use crate::Mount;
use crate::entry;
use crate::entry::other::Other;
use crate::entry::seal::{SealConfig, SealWrapper};
use crate::keys::{self, Custody};
use crate::mount::Shared;
use crate::seal::{self, try_out};

/// What is to seal. The request replaces the settings as a whole.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SealRequest {
    /// `awskms`, `local`, or `none` to store keys as the built-in engine does.
    #[serde(default, rename = "type")]
    #[schemars(extend("enum" = ["awskms", "local", "none"]))]
    kind: String,
    /// Symmetric key in AWS KMS: an id, an ARN, `alias/NAME` or an alias ARN. It is reached by `config/kms`, in the Region of its ARN if it has one.
    kms_key_id: Option<String>,
    /// Further keys in AWS KMS, for instance in other Regions. Each also wraps every key, so that any one of them opens it.
    #[serde(default)]
    further_kms_key_ids: CommaList,
    /// Name of a key file in the folder that the server's operator allows. With `awskms` it is one more wrap: a key that is kept offline.
    key_file: Option<String>,
}

/// What to do besides.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MigrateRequest {
    /// Also wrap anew what is wrapped by the right keys already, for instance after the key material was rotated.
    #[serde(default)]
    rewrap: bool,
}

/// `GET config/seal`.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Ok(Response::map(settings(&*seal::config(&mount).await?)))
}

/// `POST config/seal`: tries the wrappers out, and stores them if all of them work.
pub(crate) async fn write(mount: Shared, _cx: Cx, request: SealRequest) -> Result<Response, Error> {
    let mut wrappers = request.wrappers()?;
    let keys = seal::wrapping_keys(&mount, &wrappers).await?;
    for (wrapper, key) in wrappers.iter_mut().zip(&keys) {
        wrapper.key_id = try_out(&mount, &**key)
            .await
            .map_err(|error| not_stored(&error))?;
    }
    seal::are_distinct(&wrappers)
        .map_err(|error| Error::bad_request(format!("nothing was stored: {error}")))?;
    store(&mount, wrappers).await
}

/// `DELETE config/seal`: as a write of `none`.
pub(crate) async fn delete(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    store(&mount, Vec::new()).await
}

/// `GET seal/status`.
pub(crate) async fn status(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let (shown, warnings) = describe(&mount).await?;
    Ok(Response::map(shown).warn_all(warnings))
}

/// `POST seal/migrate`.
pub(crate) async fn migrate(
    mount: Shared,
    _cx: Cx,
    request: MigrateRequest,
) -> Result<Response, Error> {
    seal::start(&mount, request.rewrap).await?;
    let (shown, warnings) = describe(&mount).await?;
    Ok(Response::map(shown).warn_all(warnings))
}

impl SealRequest {
    /// The wrappers that are asked for, not tried yet.
    fn wrappers(&self) -> Result<Vec<SealWrapper>, Error> {
        let given = |field: &Option<String>| {
            let text = field.as_deref().unwrap_or_default().trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let (key, file) = (given(&self.kms_key_id), given(&self.key_file));
        let further: Vec<_> = self
            .further_kms_key_ids
            .iter()
            .filter(|key| !key.is_empty())
            .cloned()
            .collect();
        let refused = |why: &str| Err(Error::bad_request(why));
        match self.kind.as_str() {
            "awskms" if key.is_none() => return refused("type awskms needs kms_key_id"),
            "local" if file.is_none() => return refused("type local needs key_file"),
            "local" if key.is_some() || !further.is_empty() => {
                return refused(
                    "type local takes no keys of AWS KMS: use type awskms with key_file as one more wrap",
                );
            }
            "none" if key.is_some() || file.is_some() || !further.is_empty() => {
                return refused("type none takes no keys");
            }
            "awskms" | "local" | "none" => {}
            _ => return refused("type must be awskms, local or none"),
        }
        let wrapper = |kind, name| SealWrapper {
            kind,
            name,
            key_id: String::new(),
            other: Other::default(),
        };
        let aws = key.into_iter().chain(further);
        let mut wrappers: Vec<_> = aws.map(|name| wrapper(Kind::AwsKms, name)).collect();
        wrappers.extend(file.map(|name| wrapper(Kind::Local, name)));
        if wrappers.len() > MOST_WRAPS {
            return Err(Error::bad_request(format!(
                "no more than {MOST_WRAPS} keys can wrap"
            )));
        }
        Ok(wrappers)
    }
}

async fn store(mount: &Shared, wrappers: Vec<SealWrapper>) -> Result<Response, Error> {
    {
        let _alone = mount.authority.lock().await;
        let next = seal::config(mount).await?.succeeded_by(wrappers);
        mount.put(SealConfig::KEY, entry::encode(&next)).await?;
    }
    let config = seal::config(mount).await?;
    let mut response = Response::map(settings(&config));
    if config
        .wrappers
        .iter()
        .all(|wrapper| wrapper.kind == Kind::Local)
        && !config.wrappers.is_empty()
    {
        response = response.warn(
            "a key file seals nothing from whoever can read the server's disk: it is for laptops and tests",
        );
    }
    let counts = Counts::of(mount, &config).await?;
    if counts.to_change() > 0 {
        response = response.warn(format!(
            "{} of {} stored keys are not as these settings say: write seal/migrate to bring them there",
            counts.to_change(),
            counts.keys,
        ));
    }
    Ok(response)
}

/// Why a seal was not stored: 503 only where the same request may succeed a little later without anybody changing anything.
fn not_stored(error: &landfast_unseal::Error) -> Error {
    let message = format!("nothing was stored: the seal could not be tried out: {error}");
    if error.class().is_transient() {
        Error::Status { code: 503, message }
    } else {
        Error::bad_request(message)
    }
}

/// Keys by the form in which they are stored.
#[derive(Default)]
struct Counts {
    keys: usize,
    sealed: usize,
    in_clear: usize,
    elsewhere: usize,
    unreadable: usize,
    to_seal: usize,
    to_rewrap: usize,
    to_unseal: usize,
}

impl Counts {
    async fn of(mount: &Mount, config: &SealConfig) -> Result<Self, Error> {
        let wanted = config.key_ids();
        let mut counts = Self::default();
        for key in keys::all(mount).await?.iter() {
            counts.keys += 1;
            match key.custody() {
                Custody::Clear => {
                    counts.in_clear += 1;
                    counts.to_seal += usize::from(!wanted.is_empty());
                }
                Custody::Sealed(record) => {
                    counts.sealed += 1;
                    counts.to_unseal += usize::from(wanted.is_empty());
                    let right = wanted.is_empty() || record.is_wrapped_by(&wanted);
                    counts.to_rewrap += usize::from(!right);
                }
                Custody::Unreadable(_) => counts.unreadable += 1,
                Custody::Elsewhere => counts.elsewhere += 1,
            }
        }
        Ok(counts)
    }

    fn to_change(&self) -> usize {
        self.to_seal + self.to_rewrap + self.to_unseal
    }
}

fn settings(config: &SealConfig) -> Map<String, Value> {
    let of = |kind| {
        config
            .wrappers
            .iter()
            .filter(move |wrapper| wrapper.kind == kind)
    };
    let mut aws = of(Kind::AwsKms).map(|wrapper| wrapper.name.as_str());
    let kind = config
        .wrappers
        .first()
        .map_or("none", |wrapper| wrapper.kind.as_str());
    let mut shown = Map::new();
    shown.insert("type".to_owned(), kind.into());
    shown.insert(
        "kms_key_id".to_owned(),
        aws.next().unwrap_or_default().into(),
    );
    shown.insert(
        "further_kms_key_ids".to_owned(),
        aws.collect::<Vec<_>>().into(),
    );
    let file = of(Kind::Local).next();
    let file = file.map_or("", |wrapper| wrapper.name.as_str());
    shown.insert("key_file".to_owned(), file.into());
    shown.insert("wrapped_by".to_owned(), config.key_ids().into());
    shown
}

async fn describe(mount: &Shared) -> Result<(Map<String, Value>, Vec<String>), Error> {
    // First of all, so that a migration that is told as done has left its traces in what is read after it.
    let progress = mount.seal.progress();
    let config = seal::config(mount).await?;
    let counts = Counts::of(mount, &config).await?;
    let time = |at: Option<jiff::Timestamp>| at.map(|at| format!("{at:.0}"));
    let kind = config
        .wrappers
        .first()
        .map_or("none", |wrapper| wrapper.kind.as_str());
    let shown = json!({
        // What sealed keys are bound to, for the key policy of AWS KMS.
        "mount": mount.uuid(),
        "type": kind,
        "wrapped_by": config.key_ids(),
        "keys": counts.keys,
        "keys_sealed": counts.sealed,
        "keys_in_clear": counts.in_clear,
        "keys_elsewhere": counts.elsewhere,
        "keys_unreadable": counts.unreadable,
        "keys_in_memory": mount.seal.opened(),
        "to_seal": counts.to_seal,
        "to_rewrap": counts.to_rewrap,
        "to_unseal": counts.to_unseal,
        "migration_pending": config.pending,
        "migration_state": progress.state.as_str(),
        "migration_total": progress.total,
        "migration_done": progress.done,
        "migration_changed": progress.changed,
        "migration_failed": progress.failed,
        "migration_last_error": progress.last_error,
        "migration_started": time(progress.started),
        "migration_finished": time(progress.finished),
    });
    let Value::Object(shown) = shown else {
        unreachable!("an object was written");
    };
    let mut warnings = Vec::new();
    for key in LEGACY {
        let bytes = mount.storage().get(key).await?.map(zeroize::Zeroizing::new);
        if bytes.is_some() {
            warnings.push(format!(
                "{key} in the mount's storage may hold a CA key in clear: an old version of the built-in engine left it, and nothing here reads it"
            ));
        }
    }
    Ok((shown, warnings))
}

/// Where versions of Vault before 1.11 kept the CA with its key.
const LEGACY: [&str; 2] = ["config/ca_bundle", "config/ca_bundle.bak"];
